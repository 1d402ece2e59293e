/* Answers a phone's heartbeat through libimobiledevice, which has no tool that does, and prints what
 * the phone asks. */

#include <stdio.h>
#include <stdlib.h>

#include <libimobiledevice/heartbeat.h>
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
	heartbeat_client_t client = NULL;
	plist_t question = NULL, answer = plist_new_dict();
	char *text = NULL;
	uint32_t length = 0;

	must(idevice_new(&device, NULL), "device");
	must(heartbeat_client_start_service(device, &client, "heartbeat"), "start");
	must(heartbeat_receive(client, &question), "receive");
	plist_to_xml(question, &text, &length);
	printf("%.*s", (int)length, text);
	plist_dict_set_item(answer, "Command", plist_new_string("Polo"));
	must(heartbeat_send(client, answer), "send");
	heartbeat_client_free(client);
	idevice_free(device);
	return 0;
}
