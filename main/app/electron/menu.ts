/** The native menu: Electron's roles, and places in the page to go to. */
import type { MenuItemConstructorOptions } from 'electron';
import type { MenuText } from '../desktop/menu-text.ts';

/** `go` leads the page to a place of its own, e.g. `#/models`. */
export function menuTemplate(text: MenuText, isMac: boolean, go: (place: string) => void): MenuItemConstructorOptions[] {
  type Role = NonNullable<MenuItemConstructorOptions['role']>;
  const separator: MenuItemConstructorOptions = { type: 'separator' };
  const role = (name: Role, label: string): MenuItemConstructorOptions => ({ role: name, label });
  const place = (hash: string, label: string, accelerator?: string): MenuItemConstructorOptions => ({
    label,
    click: () => go(hash),
    ...(accelerator === undefined ? {} : { accelerator }),
  });
  const settings = place('#/settings', text.settings, 'CmdOrCtrl+,');
  const quit = role('quit', text.quit);
  const own = [role('about', text.about), separator, settings, separator, { role: 'hide' }, separator, quit];
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
  const file = [
    place('#/chat', text.newChat, 'CmdOrCtrl+N'),
    separator,
    ...(isMac ? [role('close', text.close)] : [settings, separator, quit]),
  ];
  return [
    ...(isMac ? [{ label: 'Lutra', submenu: own }] : []),
    { label: text.file, submenu: file },
    { label: text.edit, submenu: edit },
    { label: text.view, submenu: view },
    { label: text.window, role: 'window', submenu: [role('minimize', text.minimize), role('close', text.close)] },
  ];
}
