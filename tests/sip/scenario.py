#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""Makes a scenario of SIPp from a phone's steps in a call flow.

scenario.py NAME PIPE 'STEP; STEP; ...' - NAME is the phone's name in media.py, PIPE the pipe that
media.py reads. The steps:
  invite PORT            calls -s CALLEE, audio at PORT; waits for the 200
  invite-late PORT       calls without an SDP; the answer is in the ACK
  answer PORT            takes the call
  answer-late PORT       takes a call without an SDP: its 200 has the offer
  early PORT             a 183 with SDP instead of the 180; before answer or lose
  ring                   takes the INVITE without answering it yet: 180
  lose                   the call was answered elsewhere: CANCEL comes
  reinvite PORT [WORD..] a re-INVITE; WORD: sendonly, null (address 0.0.0.0), fax, at=ADDRESS (not the phone's own)
  update PORT            the same as UPDATE
  accept PORT [WORD..]   answers a re-INVITE or UPDATE
  say WORD..             a line for media.py; "say speak 7000; event" has two verbs
  tell PHONE WORD..      a line about another phone of the flow
  run COMMAND then WORD..  a shell command, then a line for media.py
  wait MS
  bye | end              ends the call | waits for that
media.py is told the relay's address from each SDP that arrives.
"""
import sys

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<scenario name="{}">\n'
VIA = "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
CONTACT = "Contact: <sip:[service]@[local_ip]:[local_port]>\n"
ECHOED = "[last_Via:]\n[last_Record-Route:]\n[last_From:]\n[last_To:]{}\n[last_Call-ID:]\n[last_CSeq:]\n"
SPOKEN = """
      <ereg regexp="c=IN IP4 ([0-9.]+)" search_in="body" assign_to="all,host"/>
      <ereg regexp="m=[a-z]+ ([0-9]+)" search_in="body" assign_to="all,port"/>"""
RETRANS = ' retrans="500"'
TAGS = {"invite": ";tag=[pid]c[call_number]", "answer": ";tag=[pid]t[call_number]"}


def sdp(port, words=()):
    at = next((w[3:] for w in words if w.startswith("at=")), "0.0.0.0" if "null" in words else "[local_ip]")
    media = f"m=image {port} udptl t38\na=T38FaxVersion:0\n" if "fax" in words else \
        f"m=audio {port} RTP/AVP 0\na=rtpmap:0 PCMU/8000\n" + ("a=sendonly\n" if "sendonly" in words else "")
    return f"Content-Type: application/sdp\nContent-Length: [len]\n\nv=0\no=- 1 1 IN IP4 [local_ip]\ns=-\nc=IN IP4 {at}\nt=0 0\n{media}"


class Phone:
    def __init__(self, name, pipe, steps):
        self.name, self.pipe, self.steps = name, pipe, steps
        self.xml = []
        self.cseq = 0
        self.rang = False  # the INVITE is here
        self.established = False
        self.tag = TAGS["invite" if any(s[0].startswith("invite") for s in steps) else "answer"]

    def send(self, text, attributes=""):
        self.xml.append(f"  <send{attributes}><![CDATA[\n{text}\n]]></send>\n")

    def request(self, method, body):
        """A request within the dialog."""
        if method != "ACK":
            self.cseq += 1
        self.send(f"{method} [next_url] SIP/2.0\n{VIA}[routes]\nMax-Forwards: 70\nFrom:[$local]{self.tag}\nTo:[$remote]\n"
                  f"Call-ID: [call_id]\nCSeq: {self.cseq} {method}\n{CONTACT}{body or 'Content-Length: 0'}",
                  "" if method == "ACK" else RETRANS)

    def recv(self, attributes, actions=""):
        self.xml.append(f"  <recv {attributes}>" + (f"<action>{actions}\n    </action>" if actions else "") + "</recv>\n")

    def tell(self, line, name=None):
        return f"""
      <exec command="echo '{name or self.name} {line}' >{self.pipe}"/>"""

    def heard(self):
        """The actions at an SDP: media.py is told the relay's address."""
        return SPOKEN + self.tell("to [$host] [$port]")

    def reply(self, code, body="", again=False):
        """To the request that came last; @again: until the next one comes."""
        tag = "" if self.established else self.tag
        self.send(f"SIP/2.0 {code}\n{ECHOED.format(tag)}{CONTACT}{body or 'Content-Length: 0'}", RETRANS if again else "")

    # ---- steps ----

    def do_invite(self, port, late=False):
        self.cseq = 1
        self.xml.append("""  <nop><action>
      <assignstr assign_to="local" value=" sip:caller@[remote_ip]"/>
    </action></nop>\n""")
        self.send(f"INVITE sip:[service]@[remote_ip] SIP/2.0\n{VIA}Max-Forwards: 70\nFrom:[$local]{self.tag}\n"
                  f"To: <sip:[service]@[remote_ip]>\nCall-ID: [call_id]\nCSeq: 1 INVITE\n{CONTACT}"
                  + ("Content-Length: 0" if late else sdp(port)), RETRANS)
        self.recv('response="100" optional="true"')
        self.recv('response="180" optional="true"')
        self.recv('response="183" optional="true"', self.heard())
        self.recv('response="200" rrs="true" timeout="20000"', """
      <ereg regexp=".*" search_in="hdr" header="To:" assign_to="remote"/>""" + self.heard())
        self.request("ACK", sdp(port) if late else "")
        self.established = True

    def do_invite_late(self, port):
        self.do_invite(port, late=True)

    def take(self, sdp_comes=True):
        """The INVITE."""
        if self.rang:
            return
        self.rang = True
        self.recv('request="INVITE" rrs="true"', """
      <ereg regexp=".*" search_in="hdr" header="From:" assign_to="remote"/>
      <ereg regexp=".*" search_in="hdr" header="To:" assign_to="local"/>""" + (self.heard() if sdp_comes else ""))

    def do_ring(self):
        self.take()
        self.reply("180 Ringing")

    def do_early(self, port):
        self.take()
        self.reply("183 Session Progress", sdp(port))

    def do_answer(self, port, late=False):
        self.take(not late)
        self.reply("200 OK", sdp(port), again=True)
        self.recv('request="ACK"', self.heard() if late else "")
        self.established = True

    def do_answer_late(self, port):
        self.do_answer(port, late=True)

    def do_lose(self):
        self.recv('request="CANCEL"')
        self.send(f"SIP/2.0 200 OK\n{ECHOED.format('')}Content-Length: 0")
        self.send(f"SIP/2.0 487 Request Terminated\n[last_Via:]\n[last_From:]\n[last_To:]{self.tag}\n[last_Call-ID:]\n"
                  "CSeq: 1 INVITE\nContent-Length: 0", RETRANS)
        self.recv('request="ACK"')

    def do_reinvite(self, port, *words):
        self.request("INVITE", sdp(port, words))
        self.recv('response="100" optional="true"')
        self.recv('response="200" timeout="20000"', self.heard())
        self.request("ACK", "")

    def do_update(self, port, *words):
        self.request("UPDATE", sdp(port, words))
        self.recv('response="100" optional="true"')
        self.recv('response="200" timeout="20000"', self.heard())

    def do_accept(self, port, *words):
        update = "update" in words
        self.recv(f'request="{"UPDATE" if update else "INVITE"}"', self.heard())
        self.reply("200 OK", sdp(port, words), again=not update)
        if not update:
            self.recv('request="ACK"')

    def do_say(self, *words):
        self.xml.append(f"  <nop><action>{self.tell(' '.join(words))}</action></nop>\n")

    def do_tell(self, other, *words):
        name = f"{self.name.partition('.')[0]}.{other}"
        self.xml.append(f"  <nop><action>{self.tell(' '.join(words), name)}</action></nop>\n")

    def do_run(self, *words):
        then = words.index("then")
        line = " ".join(words[then + 1:])
        self.xml.append(f"""  <nop><action>
      <exec command="if {" ".join(words[:then])}; then echo '{self.name} {line}' >{self.pipe}; fi"/></action></nop>\n""")

    def do_wait(self, ms):
        self.xml.append(f'  <pause milliseconds="{ms}"/>\n')

    def do_bye(self):
        self.request("BYE", "")
        self.recv('response="200" timeout="10000"')

    def do_end(self):
        self.recv('request="BYE"')
        self.reply("200 OK")

    def scenario(self):
        for verb, *words in self.steps:
            getattr(self, "do_" + verb.replace("-", "_"))(*words)
        return HEAD.format(self.name) + "".join(self.xml) + '  <Reference variables="all,host,port,local,remote"/>\n</scenario>\n'


def main(name, pipe, text):
    """A step without a verb of its own goes on with the say or tell before it."""
    steps = []
    for words in (step.split() for step in text.split(";")):
        if words and hasattr(Phone, "do_" + words[0].replace("-", "_")):
            steps.append(words)
        elif words:
            steps[-1] += [";", *words]
    sys.stdout.write(Phone(name, pipe, steps).scenario())


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
