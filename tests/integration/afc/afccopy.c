/* Copies a file to a phone and back through libimobiledevice, and tries the rest of
 * AFC on the way.  Prints one line for each step; its status is 0 if all went well. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libimobiledevice/afc.h>
#include <libimobiledevice/libimobiledevice.h>

static char block[1 << 18];

static void must(afc_error_t error, const char *what)
{
	printf("%s: %d\n", what, error);
	if (error != AFC_E_SUCCESS)
		exit(1);
}

static void upload(afc_client_t afc, const char *from, const char *to)
{
	FILE *file = fopen(from, "rb");
	uint64_t handle;
	size_t size;

	if (!file)
		exit(2);
	must(afc_file_open(afc, to, AFC_FOPEN_WRONLY, &handle), "open to write");
	while ((size = fread(block, 1, sizeof(block), file)) > 0) {
		uint32_t written = 0;
		if (afc_file_write(afc, handle, block, size, &written) || written != size)
			exit(3);
	}
	must(afc_file_close(afc, handle), "written");
	fclose(file);
}

static void download(afc_client_t afc, const char *from, const char *to)
{
	FILE *file = fopen(to, "wb");
	uint64_t handle;
	uint32_t size;

	if (!file)
		exit(2);
	must(afc_file_open(afc, from, AFC_FOPEN_RDONLY, &handle), "open to read");
	while (afc_file_read(afc, handle, block, sizeof(block), &size) == AFC_E_SUCCESS && size > 0)
		if (fwrite(block, 1, size, file) != size)
			exit(3);
	must(afc_file_close(afc, handle), "read");
	if (fclose(file))
		exit(3);
}

static int contains(char **list, const char *word)
{
	for (int i = 0; list && list[i]; i++)
		if (!strcmp(list[i], word))
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	idevice_t device = NULL;
	afc_client_t afc = NULL;
	char **list = NULL;

	if (argc != 3 || idevice_new(&device, NULL) != IDEVICE_E_SUCCESS)
		return 2;
	must(afc_client_start_service(device, &afc, "afccopy"), "start");
	must(afc_make_directory(afc, "/Downloads/new"), "make directory");
	upload(afc, argv[1], "/Downloads/new/file");
	must(afc_rename_path(afc, "/Downloads/new/file", "/Downloads/renamed"), "rename");
	must(afc_make_link(afc, AFC_SYMLINK, "renamed", "/Downloads/link"), "link");
	must(afc_read_directory(afc, "/Downloads", &list), "list");
	if (!contains(list, "renamed") || !contains(list, "link") || !contains(list, "new"))
		return 4;
	afc_dictionary_free(list);
	must(afc_get_file_info(afc, "/Downloads/link", &list), "information");
	if (!contains(list, "S_IFLNK") || !contains(list, "renamed"))
		return 5;
	afc_dictionary_free(list);
	download(afc, "/Downloads/link", argv[2]);
	must(afc_truncate(afc, "/Downloads/renamed", 10), "truncate");
	must(afc_remove_path(afc, "/Downloads/link"), "remove");
	must(afc_remove_path_and_contents(afc, "/Downloads/new"), "remove all");
	printf("outside: %d\n", afc_remove_path(afc, "/../etc/passwd"));
	afc_client_free(afc);
	idevice_free(device);
	return 0;
}
