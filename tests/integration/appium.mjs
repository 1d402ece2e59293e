// What tests have appium-ios-remotexpc do:  node appium.mjs PACKAGE UDID PORTS [WHAT[:ARGUMENT]]...
//
// PORTS is JSON: the ports of this machine that lead to services in the phone's tunnel, by name.
// They stand for the addresses that Appium's own tunnel, an interface of the kernel, would have: its
// services find them where they always do, in the registry of tunnels.  What each does is printed as
// JSON, by its name.  The package is not imported as a whole, since its tunnel needs a newer C library.

import {pathToFileURL} from 'node:url';

const [directory, udid, ports, ...wanted] = process.argv.slice(2);
const part = (path) => import(pathToFileURL(`${directory}/build/src/${path}`).href);
const start = await part('services.js');

const PICTURE = 3_000_000;
const KILL = 9;
const PATIENCE = 60_000;

const actions = {
  async assertion() {
    const {PowerAssertionType} = await part('lib/types.js');
    const service = await start.startPowerAssertionService(udid);
    const type = PowerAssertionType.PREVENT_SYSTEM_SLEEP;
    await service.createPowerAssertion({type, name: 'test', timeout: 1});
    await service.close();
    return 'created';
  },

  async apps() {
    const service = await start.startAppService(udid);
    return (await service.listApps()).map((app) => app.name);
  },

  async launch(bundle) {
    const service = await start.startAppService(udid);
    const {processIdentifier: number} = await service.launchApplication(bundle);
    const isRunning = (await service.listProcesses()).some((one) => one.processIdentifier === number);
    await service.sendSignalToProcess(number, KILL);
    const again = await service.sendSignalToProcess(number, KILL).catch(String);
    return {isRunning, again, ended: await service.monitorProcessTermination(number)};
  },

  async uninstall(bundle) {
    const service = await start.startAppService(udid);
    await service.uninstallApp(bundle);
    return (await service.listApps()).map((app) => app.bundleIdentifier);
  },

  async info() {
    const service = await start.startCoreDeviceInfoService(udid);
    const {osVersionNumber} = await service.getDeviceInfo();
    const [display] = (await service.getDisplayInfo()).displays;
    const {passcodeRequired} = await service.getLockState();
    const {ProductType} = await service.queryMobileGestalt(['ProductType']);
    return {osVersionNumber, size: display.nativeSize, passcodeRequired, ProductType};
  },

  async afc() {
    const service = await start.startAfcService(udid);
    const picture = await service.getFileContents('/DCIM/picture');
    await service.setFileContents('/copy', picture);
    const {st_size: size} = await service.stat('/copy');
    await service.rm('/copy');
    const names = await service.listdir('/');
    service.close();
    return {isWhole: picture.length === PICTURE, size: Number(size), names};
  },

  async house(bundle) {
    const service = await start.startHouseArrestService(udid);
    const files = await service.vendDocuments(bundle);
    await files.setFileContents('/Documents/note', Buffer.from('it is here'));
    const text = await files.getFileContents('/Documents/note');
    files.close();
    return String(text);
  },

  async installation(bundle) {
    const service = await start.startInstallationProxyService(udid);
    const found = await service.lookup([bundle]);
    service.close();
    return found[bundle].CFBundleDisplayName;
  },

  async streamed(path) {
    const service = await start.startZipConduitService(udid);
    await service.install(path);
    return 'installed';
  },

  async diagnostics() {
    const service = await start.startDiagnosticsService(udid);
    return Object.keys(await service.ioregistry({ioClass: 'IOPMPowerSource', returnRawJson: true, timeout: PATIENCE}));
  },

  async notifications() {
    const service = await start.startNotificationProxyService(udid);
    await service.observe('com.example.noon');
    await service.post('com.example.noon');
    const {Name} = await service.expectNotification();
    service.close();
    return Name;
  },

  async springboard() {
    const service = await start.startSpringboardService(udid);
    const icon = await service.getIconPNGData('com.apple.Preferences');
    return {orientation: await service.getInterfaceOrientation(), icon: icon.subarray(1, 4).toString()};
  },

  async mounter() {
    const service = await start.startMobileImageMounterService(udid);
    const isMounted = await service.isPersonalizedImageMounted();
    const {ChipID} = await service.queryPersonalizationIdentifiers();
    await service.cleanup();
    return {isMounted, ChipID};
  },

  async misagent() {
    return await (await start.startMisagentService(udid)).fetchAll();
  },

  async companion() {
    const {CompanionProxyService} = await part('services/ios/companion-proxy/index.js');
    return await new CompanionProxyService(udid).list();
  },

  async crashes() {
    const service = await start.startCrashReportsService(udid);
    await service.flush();
    const found = await service.ls();
    service.close();
    return found;
  },

  async pages() {
    const service = await start.startWebInspectorService(udid);
    await service.getConnectedApplications();
    for await (const message of service.listenMessage()) {
      const apps = message.__argument?.WIRApplicationDictionaryKey;
      if (apps) {
        await service.close();
        return Object.values(apps).map((app) => app.WIRApplicationNameKey);
      }
    }
  },
};

const {startTunnelRegistryServer} = await part('lib/tunnel/tunnel-registry-server.js');
const catalogue = Object.entries(JSON.parse(ports)).map(([name, port]) => [name, {port: `${port}`}]);
const now = Date.now();
const entry = {udid, deviceId: 1, address: '127.0.0.1', rsdPort: 0, createdAt: now, lastUpdated: now};
const tunnels = {[udid]: {...entry, services: Object.fromEntries(catalogue)}};
await startTunnelRegistryServer({tunnels, metadata: {}}, Number(process.env.REGISTRY_PORT));

// The library gives its own registry 300 ms to answer, and the phone 5 s: on a busy machine that says
// nothing of the phone.  The test has a time for all of it.
const isImpatience = (error) => /timed? ?out|not reachable|tunnel for/i.test(`${error}`);

const done = {};
for (const each of wanted) {
  const [name, argument] = each.split(':');
  while (done[name] === undefined) {
    try {
      done[name] = await actions[name](argument);
    } catch (error) {
      if (!isImpatience(error)) {
        done[name] = `failed: ${error}`;
      }
    }
  }
}
const plain = (key, value) => (typeof value === 'bigint' ? Number(value) : value);
console.log(JSON.stringify(done, plain));
process.exit(0);
