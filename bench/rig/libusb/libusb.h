/* The part of libusb 1.0's binary interface that the stand-in library offers:
 * what usbmuxd, pyusb and an asynchronous binding call.  Written down here so
 * that building the rig needs a C compiler and nothing else. */
#ifndef RIG_LIBUSB_H
#define RIG_LIBUSB_H
#include <stddef.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/types.h>

enum { LIBUSB_ERROR_IO = -1, LIBUSB_ERROR_INVALID_PARAM = -2, LIBUSB_ERROR_ACCESS = -3,
       LIBUSB_ERROR_NO_DEVICE = -4, LIBUSB_ERROR_NOT_FOUND = -5, LIBUSB_ERROR_BUSY = -6,
       LIBUSB_ERROR_TIMEOUT = -7, LIBUSB_ERROR_OVERFLOW = -8, LIBUSB_ERROR_PIPE = -9,
       LIBUSB_ERROR_INTERRUPTED = -10, LIBUSB_ERROR_NO_MEM = -11,
       LIBUSB_ERROR_NOT_SUPPORTED = -12, LIBUSB_ERROR_OTHER = -99 };

enum { LIBUSB_TRANSFER_COMPLETED, LIBUSB_TRANSFER_ERROR, LIBUSB_TRANSFER_TIMED_OUT,
       LIBUSB_TRANSFER_CANCELLED, LIBUSB_TRANSFER_STALL, LIBUSB_TRANSFER_NO_DEVICE,
       LIBUSB_TRANSFER_OVERFLOW };

enum { LIBUSB_TRANSFER_TYPE_CONTROL, LIBUSB_TRANSFER_TYPE_ISOCHRONOUS,
       LIBUSB_TRANSFER_TYPE_BULK, LIBUSB_TRANSFER_TYPE_INTERRUPT };

#define LIBUSB_TRANSFER_SHORT_NOT_OK    1
#define LIBUSB_TRANSFER_FREE_BUFFER     2
#define LIBUSB_TRANSFER_FREE_TRANSFER   4
#define LIBUSB_TRANSFER_ADD_ZERO_PACKET 8

enum { LIBUSB_DT_DEVICE = 1, LIBUSB_DT_CONFIG, LIBUSB_DT_STRING, LIBUSB_DT_INTERFACE,
       LIBUSB_DT_ENDPOINT, LIBUSB_DT_SS_ENDPOINT_COMPANION = 0x30 };

enum { LIBUSB_SPEED_HIGH = 3, LIBUSB_SPEED_SUPER = 4 };

enum { LIBUSB_CAP_HAS_CAPABILITY = 0, LIBUSB_CAP_HAS_HOTPLUG = 1,
       LIBUSB_CAP_SUPPORTS_DETACH_KERNEL_DRIVER = 0x101 };

#define LIBUSB_HOTPLUG_EVENT_DEVICE_ARRIVED 1
#define LIBUSB_HOTPLUG_EVENT_DEVICE_LEFT    2
#define LIBUSB_HOTPLUG_ENUMERATE            1
#define LIBUSB_HOTPLUG_MATCH_ANY            (-1)
#define LIBUSB_CONTROL_SETUP_SIZE           8

typedef struct libusb_context libusb_context;
typedef struct libusb_device libusb_device;
typedef struct libusb_device_handle libusb_device_handle;

struct libusb_version {
	uint16_t major, minor, micro, nano;
	const char *rc, *describe;
};

struct libusb_device_descriptor {
	uint8_t bLength, bDescriptorType;
	uint16_t bcdUSB;
	uint8_t bDeviceClass, bDeviceSubClass, bDeviceProtocol, bMaxPacketSize0;
	uint16_t idVendor, idProduct, bcdDevice;
	uint8_t iManufacturer, iProduct, iSerialNumber, bNumConfigurations;
};

struct libusb_endpoint_descriptor {
	uint8_t bLength, bDescriptorType, bEndpointAddress, bmAttributes;
	uint16_t wMaxPacketSize;
	uint8_t bInterval, bRefresh, bSynchAddress;
	const unsigned char *extra;
	int extra_length;
};

struct libusb_interface_descriptor {
	uint8_t bLength, bDescriptorType, bInterfaceNumber, bAlternateSetting, bNumEndpoints;
	uint8_t bInterfaceClass, bInterfaceSubClass, bInterfaceProtocol, iInterface;
	const struct libusb_endpoint_descriptor *endpoint;
	const unsigned char *extra;
	int extra_length;
};

struct libusb_interface {
	const struct libusb_interface_descriptor *altsetting;
	int num_altsetting;
};

struct libusb_config_descriptor {
	uint8_t bLength, bDescriptorType;
	uint16_t wTotalLength;
	uint8_t bNumInterfaces, bConfigurationValue, iConfiguration, bmAttributes, MaxPower;
	const struct libusb_interface *interface;
	const unsigned char *extra;
	int extra_length;
};

struct libusb_iso_packet_descriptor {
	unsigned int length, actual_length;
	int status;
};

struct libusb_transfer;
typedef void (*libusb_transfer_cb_fn)(struct libusb_transfer *);
struct libusb_transfer {
	libusb_device_handle *dev_handle;
	uint8_t flags;
	unsigned char endpoint, type;
	unsigned int timeout;
	int status, length, actual_length;
	libusb_transfer_cb_fn callback;
	void *user_data;
	unsigned char *buffer;
	int num_iso_packets;
	struct libusb_iso_packet_descriptor iso_packet_desc[];
};

struct libusb_pollfd {
	int fd;
	short events;
};
typedef void (*libusb_pollfd_added_cb)(int fd, short events, void *data);
typedef void (*libusb_pollfd_removed_cb)(int fd, void *data);
typedef int (*libusb_hotplug_callback_fn)(libusb_context *, libusb_device *, int event, void *data);
typedef void (*libusb_log_cb)(libusb_context *, int level, const char *text);

int libusb_handle_events_completed(libusb_context *, int *completed);
int libusb_set_configuration(libusb_device_handle *, int value);
int libusb_clear_halt(libusb_device_handle *, unsigned char endpoint);
int libusb_claim_interface(libusb_device_handle *, int number);
void libusb_close(libusb_device_handle *);
libusb_device *libusb_ref_device(libusb_device *);
void libusb_unref_device(libusb_device *);
struct libusb_transfer *libusb_alloc_transfer(int iso_packets);
void libusb_free_transfer(struct libusb_transfer *);
int libusb_submit_transfer(struct libusb_transfer *);
int libusb_cancel_transfer(struct libusb_transfer *);
ssize_t libusb_get_device_list(libusb_context *, libusb_device ***list);
void libusb_free_device_list(libusb_device **list, int unref);
#endif
