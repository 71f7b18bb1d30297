# SPDX-License-Identifier: BSD-2-Clause
# install.mk - the Makefile's part for hosts: install, uninstall, dist, and packages.
#
# The variables have the names and the defaults of GNU's conventions. DESTDIR precedes each path.

PREFIX ?= /usr/local
bindir ?= $(PREFIX)/bin
sbindir ?= $(PREFIX)/sbin
libexecdir ?= $(PREFIX)/libexec
datadir ?= $(PREFIX)/share
mandir ?= $(datadir)/man
docdir ?= $(datadir)/doc/rtpx
completionsdir ?= $(datadir)/bash-completion/completions
sysconfdir ?= /etc
defaultdir ?= $(sysconfdir)/default
unitdir ?= $(PREFIX)/lib/systemd/system
sysusersdir ?= $(PREFIX)/lib/sysusers.d
tmpfilesdir ?= $(PREFIX)/lib/tmpfiles.d
# Directory of a link rtpproxy to rtpxd, such as RTPPROXY_LINK=/usr/bin; empty: no link.
RTPPROXY_LINK ?=

INSTALL ?= install
at = $(DESTDIR)$(1)
MAN_PAGES := docs/man/rtpxd.8 docs/man/rtpxctl.1 $(if $(HAVE_SOUND),docs/man/makeann.1 docs/man/extractaudio.1)
# For a host, a template has the paths of this installation.
fill := sed 's,/usr/sbin/,$(sbindir)/,g; s,/usr/lib/tmpfiles.d/,$(tmpfilesdir)/,g; s,/etc/default/,$(defaultdir)/,g'

.PHONY: install uninstall dist deb rpm
install: all
	$(Q)$(INSTALL) -d $(call at,$(bindir)) $(call at,$(sbindir)) $(call at,$(mandir)/man1) \
		$(call at,$(mandir)/man8) $(call at,$(docdir))/docs $(call at,$(completionsdir)) \
		$(call at,$(defaultdir)) $(call at,$(unitdir)) $(call at,$(sysusersdir)) $(call at,$(tmpfilesdir))
	$(Q)$(INSTALL) $(O)/rtpxd $(call at,$(sbindir))
	$(Q)$(INSTALL) $(TOOLS) $(call at,$(bindir))
	$(Q)$(INSTALL) -D tools/rtpx-notify $(call at,$(libexecdir))/rtpx/rtpx-notify
	$(Q)for page in $(MAN_PAGES); do \
		$(INSTALL) -m 644 $$page $(call at,$(mandir))/man$${page##*.} || exit; done
	$(Q)$(INSTALL) -m 644 README.md LICENSE $(call at,$(docdir))
	$(Q)$(INSTALL) -m 644 $(filter-out docs/man,$(wildcard docs/*.*)) $(call at,$(docdir))/docs
	$(Q)$(INSTALL) -D -m 644 -t $(call at,$(docdir))/docs/monitoring $(wildcard docs/monitoring/*)
	$(Q)$(INSTALL) -D -m 644 -t $(call at,$(docdir))/docs/pictures $(wildcard docs/pictures/*.svg)
	$(Q)$(INSTALL) -m 644 tools/completion.bash $(call at,$(completionsdir))/rtpxctl
	$(Q)ln -sf rtpxctl $(call at,$(completionsdir))/rtpxd
	$(Q)[ -z '$(HAVE_SOUND)' ] || { ln -sf makeann $(call at,$(completionsdir))/extractaudio && \
		$(INSTALL) -m 644 tools/completion.bash $(call at,$(completionsdir))/makeann; }
	$(Q)$(fill) daemon/rtpxd.service >$(call at,$(unitdir))/rtpxd.service
	$(Q)$(INSTALL) -m 644 daemon/rtpxd.sysusers $(call at,$(sysusersdir))/rtpxd.conf
	$(Q)$(INSTALL) -m 644 daemon/rtpxd.tmpfiles $(call at,$(tmpfilesdir))/rtpxd.conf
	$(Q)[ -e $(call at,$(defaultdir))/rtpxd ] || \
		$(INSTALL) -m 644 daemon/rtpxd.default $(call at,$(defaultdir))/rtpxd
	$(Q)[ -z '$(RTPPROXY_LINK)' ] || { $(INSTALL) -d $(call at,$(RTPPROXY_LINK)) && \
		ln -sf $(sbindir)/rtpxd $(call at,$(RTPPROXY_LINK))/rtpproxy; }
	@[ -n '$(DESTDIR)' ] || echo 'now: systemd-sysusers && systemctl daemon-reload && systemctl start rtpxd'

# The file of options stays: it is the host's. So do the user rtpx and its recordings.
uninstall:
	$(Q)rm -f $(call at,$(sbindir))/rtpxd $(patsubst $(O)/%,$(call at,$(bindir))/%,$(TOOLS)) \
		$(foreach page,$(MAN_PAGES),$(call at,$(mandir))/man$(subst .,,$(suffix $(page)))/$(notdir $(page))) \
		$(addprefix $(call at,$(completionsdir))/,rtpxctl rtpxd makeann extractaudio) \
		$(call at,$(unitdir))/rtpxd.service $(call at,$(sysusersdir))/rtpxd.conf \
		$(call at,$(tmpfilesdir))/rtpxd.conf
	$(Q)rm -rf $(call at,$(docdir)) $(call at,$(libexecdir))/rtpx
	$(Q)[ -z '$(RTPPROXY_LINK)' ] || rm -f $(call at,$(RTPPROXY_LINK))/rtpproxy

# The commit that is checked out, with the file VERSION. Two runs make the same bytes.
DIST_VERSION = $(shell tools/version.sh clean)
DIST = $(O)/rtpx-$(DIST_VERSION).tar.gz
dist:
	$(Q)mkdir -p $(O)/dist && echo $(DIST_VERSION) >$(O)/dist/VERSION
	$(Q)git archive --format=tar --prefix=rtpx-$(DIST_VERSION)/ --add-file=$(O)/dist/VERSION HEAD | \
		gzip -n9 >$(DIST)
	@echo $(DIST)

# Packages are built in a tree of the tarball, with packaging/debian as its debian/. The changelog has
# one entry, of the commit's time.
DEB_VERSION = $(DIST_VERSION)-1
DEB = $(O)/deb
deb: DEPS_FOR := package
deb: deps dist
	$(Q)rm -rf $(DEB) && mkdir -p $(DEB)
	$(Q)cp $(DIST) $(DEB)/rtpx_$(DIST_VERSION).orig.tar.gz
	$(Q)tar -C $(DEB) -xf $(DIST)
	$(Q)cp -r tools/packaging/debian $(DEB)/rtpx-$(DIST_VERSION)/debian
	$(Q)tools/packaging/complete.sh $(DEB_VERSION) $(abspath $(DEB)/rtpx-$(DIST_VERSION)/debian)
	$(Q)cd $(DEB)/rtpx-$(DIST_VERSION) && dpkg-buildpackage -us -uc
	@echo; ls $(DEB)/*.deb

# On RHEL dnf builddep installs what rtpx.spec names. On Debian, whose rpm does not know the names of
# RHEL's packages and has no macros of systemd, RPM_FLAGS='--nodeps …' builds the package for a look.
RPM = $(O)/rpm
rpm: dist
	$(Q)rm -rf $(RPM) && mkdir -p $(RPM)/SOURCES $(RPM)/SPECS && cp $(DIST) $(RPM)/SOURCES
	$(Q)sed 's/@VERSION@/$(DIST_VERSION)/; s/@RPM_VERSION@/$(DIST_VERSION)/; '"s/@RPM_DATE@/$$(LC_ALL=C \
		git log -1 --date=format:'%a %b %d %Y' --format=%ad)/" tools/packaging/rtpx.spec >$(RPM)/SPECS/rtpx.spec
	$(Q)rpmbuild --define '_topdir $(abspath $(RPM))' -ba $(RPM_FLAGS) $(RPM)/SPECS/rtpx.spec
