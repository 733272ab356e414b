"""How a call proves who makes it: one small module for each mode, chosen by the integration's `auth.mode`.

A mode gives an authentication object in the sense of `requests`: it is applied to the prepared request at the last
moment, and not to a redirect that leads to another origin. Secrets are revealed there and nowhere else.
"""
