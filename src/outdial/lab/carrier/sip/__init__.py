"""The network as a SIP trunk (RFC 3261): a user agent server of its own, with nothing of the stack that calls it.

front.py          requests, and what is done about each
dialog.py         one call: its dialog, and the network's call behind it
transaction.py    answers, repeated until they are heard
transport.py      UDP and TCP
message.py        messages read and written
answers.py        what an ending is over SIP
quirks.py         replies that are lost, doubled or late
digest.py         who may call
sdp.py            offers and answers
"""
