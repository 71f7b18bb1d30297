#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# complete.sh VERSION DEBIAN - complete the directory DEBIAN: the changelog with one entry for the
# commit that is checked out, and the maintainer, the person of DEBFULLNAME and DEBEMAIL who builds, or
# the author of the commit.
set -eu
cd "$(dirname "$0")/../.."
maintainer="${DEBFULLNAME:-$(git log -1 --format=%an)} <${DEBEMAIL:-$(git log -1 --format=%ae)}>"
sed -i "s/@MAINTAINER@/$maintainer/" "$2/control"
cat >"$2/changelog" <<END
rtpx ($1) unstable; urgency=medium

  * This is $(git log -1 --format='commit %h of %as'). Its history is the project's git log.

 -- $maintainer  $(git log -1 --format=%aD)
END
