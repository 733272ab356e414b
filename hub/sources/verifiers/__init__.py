"""How each provider signs what it sends.

`contract` holds the words; `scheme` is the one engine that most providers are data for; `profiles` is that data;
the few providers whose rule is no template (Twilio, Mailgun, PayPal, plain tokens) have a module each.
`hub.sources.verification` is the door.
"""
