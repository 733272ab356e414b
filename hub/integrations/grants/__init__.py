"""Credentials that must be obtained: tokens of OAuth 2.0, of service accounts and of logins, got, kept and renewed.

| module | noun |
| --- | --- |
| `models`, `store`, `request_store` | the tables, and every statement |
| `holder` | an integration as its grant sees it |
| `grant`, `decision` | what is stored of a grant; what to do about it (pure) |
| `keeper` | the door: credentials for a call, from memory where they are |
| `refresh` | one renewal among many processes: lease, intent, question, storing |
| `asking`, `oauth2`, `assertions`, `login`, `answer` | the question to a provider, and its answer |
| `authorization`, `device`, `page` | grants that a person gives |
| `revocation` | giving a grant back |
"""
