"""Files of others: SFTP, FTPS and S3."""

from hub.integrations.transports.files.transport import FileTransport

__all__ = ["FileTransport"]
