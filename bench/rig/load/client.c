/* The client's side of the daemon's protocol. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include "load.h"

static int ids[256], nids;

/* Nothing is held back on this side: what is measured is the other one. */
static int tcp_socket(int port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int s = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
	if (s < 0)
		die("socket: %s", strerror(errno));
	setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	while (connect(s, (struct sockaddr *)&a, sizeof a) < 0)
		if (errno != EINTR)
			die("connect to port %d: %s", port, strerror(errno));
	return s;
}

int relay_socket(int service)
{
	int port = opt.relay[service == ECHO ? 0 : service == DISCARD ? 1 : 2];
	return port ? tcp_socket(port) : -1;
}

int mux_socket(void)
{
	if (opt.tcp)
		return tcp_socket(opt.tcp);
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (s < 0)
		die("socket: %s", strerror(errno));
	strncpy(a.sun_path, opt.socket, sizeof a.sun_path - 1);
	while (connect(s, (struct sockaddr *)&a, sizeof a) < 0)
		if (errno != EINTR)
			die("connect %s: %s", opt.socket, strerror(errno));
	return s;
}

static int put_request(char *b, const char *type, const char *extra)
{
	int n = sprintf(b + 16, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n"
		"<plist version=\"1.0\">\n<dict>\n\t<key>BundleID</key>\n\t<string>muxd.load</string>\n"
		"\t<key>ClientVersionString</key>\n\t<string>load</string>\n\t<key>MessageType</key>\n"
		"\t<string>%s</string>\n\t<key>ProgName</key>\n\t<string>load</string>\n"
		"\t<key>kLibUSBMuxVersion</key>\n\t<integer>3</integer>\n%s</dict>\n</plist>\n", type, extra);
	uint32_t h[4] = { 16 + n, 1, 8, 1 };
	memcpy(b, h, 16);
	return 16 + n;
}

int put_connect(char *request, int index, int port)
{
	char x[200];
	sprintf(x, "\t<key>DeviceID</key>\n\t<integer>%d</integer>\n\t<key>PortNumber</key>\n\t<integer>%d</integer>\n",
		ids[index % nids], htons(port));
	return put_request(request, "Connect", x);
}

void send_all(int fd, const void *p, size_t n)
{
	while (n) {
		ssize_t r = send(fd, p, n, MSG_NOSIGNAL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			die("send: %s", strerror(errno));
		p = (const char *)p + r;
		n -= r;
	}
}

int recv_all(int fd, void *p, size_t n)
{
	while (n) {
		ssize_t r = recv(fd, p, n, MSG_WAITALL);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return -1;
		p = (char *)p + r;
		n -= r;
	}
	return 0;
}

static char *reply(int fd, const char *to) /* malloc()ed payload of the next message */
{
	uint32_t h[4];
	if (recv_all(fd, h, 16) < 0 || h[0] < 16 || h[0] > 1 << 24)
		die("%s: no answer", to);
	char *b = malloc(h[0] - 16 + 1);
	if (recv_all(fd, b, h[0] - 16) < 0)
		die("%s: half an answer", to);
	b[h[0] - 16] = 0;
	return b;
}

long integer_after(const char *plist, const char *key)
{
	char k[64];
	snprintf(k, sizeof k, "<key>%s</key>", key);
	const char *p = strstr(plist, k);
	return p && (p = strstr(p, "<integer>")) ? atol(p + 9) : -1;
}

static void list_devices(void)
{
	char b[2048];
	int fd = mux_socket();
	send_all(fd, b, put_request(b, "ListDevices", ""));
	char *r = reply(fd, "ListDevices"), *p = r;
	nids = 0;
	for (; (p = strstr(p, "<key>Properties</key>")) && nids < 256; p++)
		ids[nids++] = integer_after(p, "DeviceID");
	free(r);
	close(fd);
}

void find_phones(void)
{
	double t0 = now();
	while (list_devices(), nids < opt.phones) {
		if (now() - t0 > 15)
			die("the daemon shows %d phones after 15 s, want %d", nids, opt.phones);
		sleep_s(0.02);
	}
}

int listen_socket(void)
{
	char b[2048];
	int fd = mux_socket();
	send_all(fd, b, put_request(b, "Listen", ""));
	char *r = reply(fd, "Listen");
	if (integer_after(r, "Number") != 0)
		die("Listen refused: %s", r);
	free(r);
	return fd;
}

int mux_connect(int index, int port)
{
	char b[2048];
	int fd = mux_socket();
	send_all(fd, b, put_connect(b, index, port));
	char *r = reply(fd, "Connect");
	long n = integer_after(r, "Number");
	free(r);
	if (n == 0)
		return fd;
	close(fd);
	return -1;
}

int must_connect(int index, int port)
{
	int fd = relay_socket(port);
	if (fd < 0)
		fd = mux_connect(index, port);
	if (fd < 0)
		die("Connect to port %d was refused", port);
	return fd;
}
