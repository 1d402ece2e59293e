/* Descriptors like an iPhone's: raw ones, and as libusb parses them. */
#include <stdarg.h>
#include "fakeusb.h"

#define CONFIGURATIONS 4

void raw_put(struct raw *r, int n, ...)
{
	va_list ap;
	va_start(ap, n);
	while (n--)
		r->b[r->n++] = va_arg(ap, int);
	va_end(ap);
}

static void put_intf(struct raw *r, int no, int alt, int neps, int cls, int sub, int proto, int str)
{
	raw_put(r, 9, 9, LIBUSB_DT_INTERFACE, no, alt, neps, cls, sub, proto, str);
}

static void put_ep(struct raw *r, int ep, int attr, int mps, int interval)
{
	raw_put(r, 7, 7, LIBUSB_DT_ENDPOINT, ep, attr, mps & 255, mps >> 8, interval);
	if (env.speed >= LIBUSB_SPEED_SUPER)
		raw_put(r, 6, 6, LIBUSB_DT_SS_ENDPOINT_COMPANION, attr == 2 ? 15 : 0, 0, 0, 0);
}

static void put_ptp(struct raw *r, int no)
{
	put_intf(r, no, 0, 3, 6, 1, 1, 14);
	put_ep(r, 0x02, 2, env.mps, 0);
	put_ep(r, 0x81, 2, env.mps, 0);
	put_ep(r, 0x83, 3, 64, 10);
}

static void put_mux(struct raw *r, int no)
{
	put_intf(r, no, 0, 2, 255, 254, 2, 15);
	put_ep(r, FU_EP_OUT, 2, env.mps, 0);
	put_ep(r, FU_EP_IN, 2, env.mps, 0);
}

/* Like an iPhone: 1 PTP, 2 iPod audio, 3 PTP + mux, 4 PTP + mux + ethernet. */
int raw_config(int value, struct raw *r)
{
	int nif = 0;
	memset(r, 0, sizeof *r);
	if (value < 1 || value > CONFIGURATIONS)
		return -1;
	raw_put(r, 9, 9, LIBUSB_DT_CONFIG, 0, 0, 0, value, 4 + value, 0xc0, 250);
	if (value == 1) {
		put_ptp(r, nif++);
	} else if (value == 2) {
		put_intf(r, nif++, 0, 0, 1, 1, 0, 0);
		put_intf(r, nif, 0, 0, 1, 2, 0, 0);
		put_intf(r, nif, 1, 1, 1, 2, 0, 0);
		put_ep(r, 0x81, 1, 192, 4);
		nif++;
		put_intf(r, nif++, 0, 1, 3, 0, 0, 0);
		put_ep(r, 0x83, 3, 64, 1);
	} else {
		put_ptp(r, nif++);
		put_mux(r, nif++);
		if (value >= 4) {
			put_intf(r, nif, 0, 0, 255, 253, 1, 16);
			put_intf(r, nif, 1, 2, 255, 253, 1, 16);
			put_ep(r, 0x05, 2, env.mps, 0);
			put_ep(r, 0x86, 2, env.mps, 0);
			nif++;
		}
	}
	r->b[2] = r->n & 255;
	r->b[3] = r->n >> 8;
	r->b[4] = nif;
	return 0;
}

void raw_device(libusb_device *d, struct raw *r)
{
	int super = env.speed >= LIBUSB_SPEED_SUPER;
	memset(r, 0, sizeof *r);
	raw_put(r, 18, 18, LIBUSB_DT_DEVICE, 0, super ? 3 : 2, 0, 0, 0, super ? 9 : 64,
		0xac, 0x05, d->pid & 255, d->pid >> 8, 0x02, 0x15, 1, 2, 3, CONFIGURATIONS);
}

int raw_string(libusb_device *d, int index, struct raw *r)
{
	static const char *fixed[] = { [1] = "Apple Inc.", [2] = "iPhone",
		[5] = "PTP", [6] = "iPod USB Interface", [7] = "PTP + Apple Mobile Device",
		[8] = "PTP + Apple Mobile Device + Apple USB Ethernet",
		[14] = "PTP", [15] = "Apple USB Multiplexor", [16] = "Apple USB Ethernet" };
	const char *s = NULL;
	memset(r, 0, sizeof *r);
	if (index == 0) {
		raw_put(r, 4, 4, LIBUSB_DT_STRING, 0x09, 0x04);
		return 0;
	}
	if (index == 3)
		s = d->serial;
	else if (index < (int)(sizeof fixed / sizeof *fixed))
		s = fixed[index];
	if (!s)
		return -1;
	raw_put(r, 2, 0, LIBUSB_DT_STRING);
	for (; *s && r->n < 254; s++)
		raw_put(r, 2, (unsigned char)*s, 0);
	r->b[0] = r->n;
	return 0;
}

/* One malloc()ed block per parsed configuration, freed in one go. */
struct cfgblock {
	struct libusb_config_descriptor c;
	struct libusb_interface intf[8];
	struct libusb_interface_descriptor alt[16];
	struct libusb_endpoint_descriptor ep[32];
	uint8_t raw[512];
};

static struct cfgblock *parse_config(const struct raw *r)
{
	struct cfgblock *b = calloc(1, sizeof *b);
	int nalt = 0, nep = 0, last = -1;
	struct libusb_interface_descriptor *cur = NULL;
	struct libusb_endpoint_descriptor *cep = NULL;
	if (!b)
		return NULL;
	memcpy(b->raw, r->b, r->n);
	const uint8_t *p = b->raw, *end = p + r->n;
	b->c.bLength = 9;
	b->c.bDescriptorType = LIBUSB_DT_CONFIG;
	b->c.wTotalLength = r->n;
	b->c.bNumInterfaces = p[4];
	b->c.bConfigurationValue = p[5];
	b->c.iConfiguration = p[6];
	b->c.bmAttributes = p[7];
	b->c.MaxPower = p[8];
	b->c.interface = b->intf;
	for (p += 9; p < end; p += p[0]) {
		if (p[1] == LIBUSB_DT_INTERFACE) {
			cur = &b->alt[nalt++];
			cep = NULL;
			memcpy(cur, p, 9);
			cur->endpoint = p[4] ? &b->ep[nep] : NULL;
			if (p[2] != last) {
				last = p[2];
				b->intf[last].altsetting = cur;
			}
			b->intf[last].num_altsetting++;
		} else if (p[1] == LIBUSB_DT_ENDPOINT && cur) {
			cep = &b->ep[nep++];
			cep->bLength = p[0];
			cep->bDescriptorType = p[1];
			cep->bEndpointAddress = p[2];
			cep->bmAttributes = p[3];
			cep->wMaxPacketSize = p[4] | p[5] << 8;
			cep->bInterval = p[6];
		} else if (cep) {
			if (!cep->extra)
				cep->extra = p;
			cep->extra_length += p[0];
		}
	}
	return b;
}

static const struct libusb_endpoint_descriptor *find_ep(const struct cfgblock *b, int ep)
{
	for (int i = 0; i < 32; i++)
		if (b->ep[i].bLength && b->ep[i].bEndpointAddress == ep)
			return &b->ep[i];
	return NULL;
}

/* interface number that holds the endpoint in the active configuration */
int ep_interface(libusb_device *d, int ep)
{
	int config = d->config;
	if (d->epconfig != config) {
		struct raw r;
		int intf = -1;
		memset(d->epmap, -1, sizeof d->epmap);
		if (raw_config(config, &r) == 0)
			for (int i = 9; i < r.n; i += r.b[i]) {
				if (r.b[i + 1] == LIBUSB_DT_INTERFACE)
					intf = r.b[i + 2];
				else if (r.b[i + 1] == LIBUSB_DT_ENDPOINT)
					d->epmap[r.b[i + 2]] = intf;
			}
		d->epconfig = config;
	}
	return d->epmap[ep & 255];
}

API int libusb_get_device_descriptor(libusb_device *d, struct libusb_device_descriptor *desc)
{
	struct raw r;
	raw_device(d, &r);
	memcpy(desc, r.b, 18); /* the layouts agree on a little-endian machine */
	return 0;
}

static int get_config(int value, struct libusb_config_descriptor **out)
{
	struct raw r;
	if (raw_config(value, &r) < 0)
		return LIBUSB_ERROR_NOT_FOUND;
	struct cfgblock *b = parse_config(&r);
	if (!b)
		return LIBUSB_ERROR_NO_MEM;
	*out = &b->c;
	return 0;
}

API int libusb_get_active_config_descriptor(libusb_device *d, struct libusb_config_descriptor **c)
{
	return get_config(d->config, c);
}

API int libusb_get_config_descriptor(libusb_device *d, uint8_t i, struct libusb_config_descriptor **c)
{
	return get_config(i + 1, c);
}

API int libusb_get_config_descriptor_by_value(libusb_device *d, uint8_t v, struct libusb_config_descriptor **c)
{
	return get_config(v, c);
}

API void libusb_free_config_descriptor(struct libusb_config_descriptor *c)
{
	if (c)
		free(OWNER(c, struct cfgblock, c));
}

API int libusb_get_max_packet_size(libusb_device *d, unsigned char ep)
{
	struct libusb_config_descriptor *c;
	if (get_config(d->config, &c) < 0)
		return LIBUSB_ERROR_OTHER;
	const struct libusb_endpoint_descriptor *e = find_ep(OWNER(c, struct cfgblock, c), ep);
	int r = e ? e->wMaxPacketSize : LIBUSB_ERROR_NOT_FOUND;
	libusb_free_config_descriptor(c);
	return r;
}

API int libusb_get_max_iso_packet_size(libusb_device *d, unsigned char ep) { return libusb_get_max_packet_size(d, ep); }

API int libusb_get_string_descriptor_ascii(libusb_device_handle *h, uint8_t i, unsigned char *out, int len)
{
	struct raw r;
	int n = 0;
	if (i == 0)
		return LIBUSB_ERROR_INVALID_PARAM;
	if (h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	if (raw_string(h->dev, i, &r) < 0)
		return LIBUSB_ERROR_PIPE;
	for (int k = 2; k < r.n && n < len - 1; k += 2)
		out[n++] = r.b[k];
	out[n] = 0;
	return n;
}
