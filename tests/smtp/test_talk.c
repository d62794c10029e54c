/* Plays tests/talk/smtp-*.talk. */
#include "fake_server.h"
#include <stdio.h>

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: %s folder prefix\n", argv[0]);
		return 64;
	}
	return talk_run_all(argv[1], argv[2], &fake_talk_server) == 0 ? 0 : 1;
}
