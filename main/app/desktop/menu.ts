/** The native menu: Electron's roles, and places in the page to go to. */
import type { MenuText } from './menu-text.ts';

type Role =
  | 'about'
  | 'close'
  | 'copy'
  | 'cut'
  | 'hide'
  | 'minimize'
  | 'paste'
  | 'quit'
  | 'redo'
  | 'reload'
  | 'resetZoom'
  | 'selectAll'
  | 'togglefullscreen'
  | 'undo'
  | 'zoomIn'
  | 'zoomOut';

/** As Electron's `Menu.buildFromTemplate` takes it. */
export interface MenuEntry {
  readonly label?: string;
  readonly role?: Role;
  readonly type?: 'separator';
  readonly accelerator?: string;
  readonly click?: () => void;
  readonly submenu?: MenuEntry[];
}

const separator: MenuEntry = { type: 'separator' };

/** `go` leads the page to a place of its own, e.g. `#/models`. */
export function menuTemplate(text: MenuText, isMac: boolean, go: (place: string) => void): MenuEntry[] {
  const role = (name: Role, label: string): MenuEntry => ({ role: name, label });
  const place = (hash: string, label: string): MenuEntry => ({ label, click: () => go(hash) });
  const settings = { ...place('#/settings', text.settings), accelerator: 'CmdOrCtrl+,' };
  const newChat = { ...place('#/chat', text.newChat), accelerator: 'CmdOrCtrl+N' };
  const quit = role('quit', text.quit);
  const close = role('close', text.close);
  const edit = [
    role('undo', text.undo),
    role('redo', text.redo),
    separator,
    role('cut', text.cut),
    role('copy', text.copy),
    role('paste', text.paste),
    role('selectAll', text.selectAll),
  ];
  const view = [
    place('#/models', text.models),
    place('#/jobs', text.jobs),
    separator,
    role('reload', text.reload),
    role('resetZoom', text.resetZoom),
    role('zoomIn', text.zoomIn),
    role('zoomOut', text.zoomOut),
    role('togglefullscreen', text.fullScreen),
  ];
  const own = [role('about', text.about), separator, settings, separator, role('hide', text.hide), quit];
  const file = isMac ? [newChat, separator, close] : [newChat, separator, settings, separator, quit];
  return [
    ...(isMac ? [{ label: 'Lutra', submenu: own }] : []),
    { label: text.file, submenu: file },
    { label: text.edit, submenu: edit },
    { label: text.view, submenu: view },
    {
      label: text.window,
      submenu: isMac ? [role('minimize', text.minimize)] : [role('minimize', text.minimize), close],
    },
  ];
}
