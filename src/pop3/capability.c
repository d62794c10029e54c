#include "pop3/capability.h"

int pop3_capabilities(struct stream *io, bool stls, bool passwords, bool authenticated)
{
	stream_write(io, S("+OK Capability list "
			   "follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\nPIPELINING\r\n"
			   "EXPIRE NEVER\r\nIMPLEMENTATION Posthouse\r\n"));
	if (stls)
		stream_write(io, S("STLS\r\n"));
	if (passwords && !authenticated)
		stream_write(io, S("USER\r\nSASL PLAIN\r\n"));
	return stream_write(io, S(".\r\n"));
}
