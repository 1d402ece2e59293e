/* Control transfers are answered here, at once: the phone has no part in them. */
#include "fakeusb.h"

enum { GET_STATUS = 0, CLEAR_FEATURE = 1, GET_DESCRIPTOR = 6, GET_CONFIGURATION = 8,
       SET_CONFIGURATION = 9, SET_INTERFACE = 11 };

/* Answers a control request; bytes of data stage, or -1 for a stall. */
int control_request(libusb_device_handle *h, const uint8_t *s, uint8_t *data, int room)
{
	libusb_device *d = h->dev;
	struct raw r = { .n = 0 };
	int type = s[0], req = s[1], val = s[2] | s[3] << 8, idx = s[4] | s[5] << 8, len = s[6] | s[7] << 8;
	if (len > room)
		len = room;
	if (type == 0x80 && req == GET_DESCRIPTOR) {
		int e = -1;
		if (val >> 8 == LIBUSB_DT_DEVICE) {
			raw_device(d, &r);
			e = 0;
		} else if (val >> 8 == LIBUSB_DT_CONFIG)
			e = raw_config((val & 255) + 1, &r);
		else if (val >> 8 == LIBUSB_DT_STRING)
			e = raw_string(d, val & 255, &r);
		if (e < 0)
			return -1;
	} else if (type == 0x80 && req == GET_CONFIGURATION) {
		raw_put(&r, 1, d->config);
	} else if (type == 0x80 && req == GET_STATUS) {
		raw_put(&r, 2, 1, 0);
	} else if (type == 0x00 && req == SET_CONFIGURATION) {
		return libusb_set_configuration(h, val) < 0 ? -1 : 0;
	} else if (type == 0x02 && req == CLEAR_FEATURE) {
		return libusb_clear_halt(h, idx) < 0 ? -1 : 0;
	} else if (type == 0xc0 && req == 0x45) { /* Apple: get mode */
		raw_put(&r, 4, d->vmode == 1 ? 3 : 5, 3, 3, 0);
	} else if (type == 0xc0 && req == 0x52) { /* Apple: set mode */
		d->vmode = idx;
		raw_put(&r, 1, 0);
	} else if ((type & 0x60) == 0 && req == SET_INTERFACE) {
		return 0;
	} else
		return -1;
	int n = r.n < len ? r.n : len;
	memcpy(data, r.b, n);
	return n;
}

API int libusb_control_transfer(libusb_device_handle *h, uint8_t type, uint8_t req, uint16_t val,
	uint16_t idx, unsigned char *data, uint16_t len, unsigned timeout)
{
	uint8_t s[8] = { type, req, val & 255, val >> 8, idx & 255, idx >> 8, len & 255, len >> 8 };
	if (in_events == h->ctx)
		return LIBUSB_ERROR_BUSY;
	if (h->dead)
		return LIBUSB_ERROR_NO_DEVICE;
	int n = control_request(h, s, data, len);
	return n < 0 ? LIBUSB_ERROR_PIPE : n;
}
