#include "pop3/capability.h"

int pop3_capabilities(struct stream *io, struct pop3_capable now)
{
	stream_write(io, S("+OK Capability list "
			   "follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\nLANG\r\n"
			   "EXPIRE NEVER\r\nIMPLEMENTATION Posthouse\r\n"));
	/* USER: names, too, may be UTF-8 (RFC 6856 2.1) */
	stream_write(io, S("UTF8 USER\r\n"));
	if (now.stls)
		stream_write(io, S("STLS\r\n"));
	if (now.passwords) {
		stream_write(io, S("USER\r\nSASL"));
		if (now.scram_plus)
			stream_write(io, S(" SCRAM-SHA-256-PLUS"));
		if (now.scram)
			stream_write(io, S(" SCRAM-SHA-256"));
		stream_write(io, S(" PLAIN\r\n"));
	}
	return stream_write(io, S(".\r\n"));
}
