"""REST: one HTTP call, or the pages of one list, through the guarded session.

`forms` says what an operation looks like; `preparing` makes an input into what is sent, with one module for each part
(`paths`, `parameters`, `headers`, `bodies`, `multipart`); `pages` decides which page comes next and `reading` reads
them all. `calling` and `headers` serve every transport that speaks HTTP.
"""

from hub.integrations.transports.http.transport import RestTransport

__all__ = ["RestTransport"]
