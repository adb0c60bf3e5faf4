"""The network in a box: a phone network in a process of its own, where the dialled number picks the ending.

It is foreign on purpose: it shares no code, store, clock or ids with the rest of Outdial, and is reached only by HTTP
and as a SIP trunk (the package `sip`): two fronts of one network, with one log. Over HTTP bodies are JSON, times are
Unix seconds by its own clock.

    POST /calls                       place one call; never deduplicated
        {"call_key", "number", "caller", "callback_url", "callback_secret",
         "ring_secs": the caller's ring limit, "talk_secs": the longest call, "greeting": what the agent says first}
        201 {"call_id"} · 400 {"error"} · 429 {"error"} with Retry-After in seconds, nothing was dialled · 500 {"error"}
    POST /calls/{call_key}/hang_up    end every call of that key; {"even_if_answered": false} spares answered ones
        200 {"ended", "live"}: how many it ended now, how many go on · 404 {"error"}
    GET  /calls/{call_key}            the whole course, until this process ends
        200 {"calls": [{"call_id", "call_key", "number", "nth", "placed_at", "over", "events": [report, ...]}]} · 404
    GET  /                            {"placed", "live", "reports_sent", "reports_lost", "reports_waiting"}

Reports are POSTed to `callback_url`, signed with `callback_secret`:

    X-Carrier-Signature: t=<unix seconds>,v1=<hex of HMAC-SHA256(secret, t + "." + body)>
    {"id", "event": "ringing" | "answered" | "ended", "at", "call_id", "call_key", "nth",
     "answered_by": "person" | "machine"                                       (answered; ended, if it was answered)
     "code", "reason", "q850", "cause", "by": "callee" | "caller" | "network"  (ended; the codes are SIP's and Q.850's)
     "rang_at", "answered_at", "transcript": [{"role": "agent" | "user", "text", "at_secs"}]}    (ended, if it applies)

`id` names one report: a repeated one has the same. A report that is not answered 2xx is repeated three times, within
2 s. Reports of one call may overtake each other. What the last four digits do is the table in `endings.py`.
"""
