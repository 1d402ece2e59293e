/* Asks a phone for its watches through libimobiledevice, which has no tool that does, and prints
 * what the phone answers.  The library's own companion_proxy_get_device_registry, up to 1.3.0, takes
 * the answer that there are none for an unknown error, and any other one for it. */

#include <stdio.h>
#include <stdlib.h>

#include <libimobiledevice/companion_proxy.h>
#include <libimobiledevice/libimobiledevice.h>
#include <plist/plist.h>

static void must(int error, const char *what)
{
	printf("%s: %d\n", what, error);
	if (error)
		exit(1);
}

int main(void)
{
	idevice_t device = NULL;
	companion_proxy_client_t client = NULL;
	plist_t question = plist_new_dict(), answer = NULL;
	char *text = NULL;
	uint32_t length = 0;

	must(idevice_new(&device, NULL), "device");
	must(companion_proxy_client_start_service(device, &client, "companion"), "start");
	plist_dict_set_item(question, "Command", plist_new_string("GetDeviceRegistry"));
	must(companion_proxy_send(client, question), "send");
	must(companion_proxy_receive(client, &answer), "receive");
	plist_to_xml(answer, &text, &length);
	printf("%.*s", (int)length, text);
	companion_proxy_client_free(client);
	idevice_free(device);
	return 0;
}
