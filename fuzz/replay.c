/*
 * Runs a fuzz target over files instead of invented input: every seed in every ordinary test run, and one
 * crash at a time under a debugger. Usage: fuzz_NAME FILE-OR-FOLDER...
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int replay_file(const char *path)
{
	struct stat st;
	FILE *in = fopen(path, "rbe");

	if (!in || fstat(fileno(in), &st) < 0) {
		perror(path);
		if (in)
			fclose(in);
		return 1;
	}
	/* A heap block of just this size, so that reading one byte too far is seen. */
	uint8_t *data = malloc((size_t)st.st_size);
	size_t n = data ? fread(data, 1, (size_t)st.st_size, in) : 0;
	fclose(in);
	LLVMFuzzerTestOneInput(data, n);
	free(data);
	return 0;
}

static int replay_folder(const char *path)
{
	struct dirent **entries;
	int n = scandir(path, &entries, NULL, alphasort), rc = n < 0, files = 0;

	for (int i = 0; i < n; i++) {
		char whole[4096];
		if (entries[i]->d_name[0] != '.') {
			snprintf(whole, sizeof whole, "%s/%s", path, entries[i]->d_name);
			rc |= replay_file(whole);
			files++;
		}
		free(entries[i]);
	}
	if (n >= 0)
		free(entries);
	printf("%s: %d files\n", path, files);
	return rc || files == 0;
}

int main(int argc, char **argv)
{
	int rc = argc < 2;

	for (int i = 1; i < argc; i++) {
		struct stat st;
		rc |= stat(argv[i], &st) == 0 && S_ISDIR(st.st_mode) ? replay_folder(argv[i])
								     : replay_file(argv[i]);
	}
	return rc;
}
