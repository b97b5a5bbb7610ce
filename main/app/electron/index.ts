/** The desktop studio: the same services as the headless host, in a window. */
import { app, BrowserWindow, dialog, ipcMain, Menu, protocol, session } from 'electron';
import { menuText } from '../desktop/menu-text.ts';
import { menuTemplate } from '../desktop/menu.ts';
import { openedPaths } from '../desktop/opened-paths.ts';
import { pageAddress } from '../desktop/origin.ts';
import { builtFolders, defaultDataFolder } from '../folders.ts';
import { createStudio } from '../../studio.ts';
import type { Studio } from '../../studio.ts';
import { desktopHost, openAfterAsking, showError } from './dialogs.ts';
import { denyNetwork, denyPermissions, guardContents, refuseCertificateErrors } from './guards.ts';
import { handlePorts } from './ports.ts';
import { handleProtocols, schemes } from './protocols.ts';
import { partition } from './web-preferences.ts';
import { createWindow, focusWindow } from './window.ts';

const { isPackaged } = app;
const folders = builtFolders(import.meta.dirname, isPackaged ? process.resourcesPath : null);
const dataFolder = defaultDataFolder();
const page = pageAddress(isPackaged);

app.enableSandbox();
protocol.registerSchemesAsPrivileged(schemes);
refuseCertificateErrors(app);
app.on('web-contents-created', (_event, contents) =>
  guardContents(contents, page, (url) => void openAfterAsking(url).catch(showError)),
);

if (app.requestSingleInstanceLock()) {
  app
    .whenReady()
    .then(run)
    .catch(async (thrown: unknown) => {
      await showError(thrown);
      app.exit(1);
    });
} else app.quit();

async function run(): Promise<void> {
  const studio = await createStudio({
    host: desktopHost(folders.engineEntry),
    dataFolder,
    demosFolder: folders.demos,
  });
  disposeBeforeQuit(studio);
  const own = session.fromPartition(partition);
  denyPermissions(own, page);
  denyNetwork(own, page, isPackaged);
  handleProtocols(own.protocol, { pageFolder: folders.page, resolveGrant: (id) => studio.files.resolve(id) });
  handlePorts(ipcMain, studio, page);
  const template = menuTemplate(menuText(app.getLocale()), process.platform === 'darwin', (place) => void go(place));
  Menu.setApplicationMenu(Menu.buildFromTemplate(template));

  app.on('window-all-closed', () => {
    if (process.platform !== 'darwin') app.quit();
  });
  app.on('activate', () => void theWindow().then(focusWindow).catch(showError));
  app.on('second-instance', (_event, argv, folder) => void open(studio, openedPaths(argv, folder, isPackaged)));
  app.on('open-file', (event, path) => {
    event.preventDefault();
    void open(studio, [path]);
  });
  await theWindow();
  const paths = openedPaths(process.argv, process.cwd(), isPackaged);
  if (paths.length > 0) await open(studio, paths);
}

/** There is one window; a closed one is made anew. */
async function theWindow(): Promise<BrowserWindow> {
  const [window] = BrowserWindow.getAllWindows();
  return window ?? createWindow({ page, preload: folders.preload, dataFolder, isPackaged });
}

/** Leads the page to a place of its own. */
async function go(place: string): Promise<void> {
  const window = await theWindow();
  focusWindow(window);
  window.webContents.send('lutra:go', place);
}

/** Adds the models that someone opened the studio with, and shows them; without any, the window comes to the front. */
async function open(studio: Studio, paths: readonly string[]): Promise<void> {
  if (paths.length === 0) return focusWindow(await theWindow());
  await go('#/models');
  for (const path of paths) {
    try {
      const { id } = await studio.files.grant(path);
      await studio.models.handlers.add(
        { grantId: id },
        { signal: new AbortController().signal, connectionId: 'shell' },
      );
    } catch (thrown) {
      await showError(thrown);
    }
  }
}

/** Quitting waits until the services have ended: jobs are set aside and the database is closed. */
function disposeBeforeQuit(studio: Studio): void {
  app.once('will-quit', (event) => {
    event.preventDefault();
    studio
      .dispose()
      .catch((thrown: unknown) => dialog.showErrorBox('Lutra', String(thrown)))
      .finally(() => app.exit());
  });
}
