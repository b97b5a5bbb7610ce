/** Words of the native menus and dialogs. */
const en = {
  about: 'About Lutra',
  cancel: 'Cancel',
  chooseFile: 'Choose a file',
  chooseFolder: 'Choose a folder',
  close: 'Close Window',
  copy: 'Copy',
  cut: 'Cut',
  edit: 'Edit',
  file: 'File',
  fullScreen: 'Full Screen',
  jobs: 'Jobs',
  minimize: 'Minimize',
  models: 'Models',
  newChat: 'New Chat',
  open: 'Open',
  openLink: 'Open this address in your browser?',
  paste: 'Paste',
  quit: 'Quit Lutra',
  redo: 'Redo',
  reload: 'Reload',
  resetZoom: 'Actual Size',
  selectAll: 'Select All',
  settings: 'Settings…',
  undo: 'Undo',
  view: 'View',
  window: 'Window',
  zoomIn: 'Zoom In',
  zoomOut: 'Zoom Out',
} as const;

export type MenuText = Readonly<Record<keyof typeof en, string>>;

const zhCN: MenuText = {
  about: '关于 Lutra',
  cancel: '取消',
  chooseFile: '选择文件',
  chooseFolder: '选择文件夹',
  close: '关闭窗口',
  copy: '复制',
  cut: '剪切',
  edit: '编辑',
  file: '文件',
  fullScreen: '全屏',
  jobs: '任务',
  minimize: '最小化',
  models: '模型',
  newChat: '新对话',
  open: '打开',
  openLink: '在浏览器中打开此地址？',
  paste: '粘贴',
  quit: '退出 Lutra',
  redo: '重做',
  reload: '重新加载',
  resetZoom: '实际大小',
  selectAll: '全选',
  settings: '设置…',
  undo: '撤销',
  view: '视图',
  window: '窗口',
  zoomIn: '放大',
  zoomOut: '缩小',
};

/** `locale` as Electron or the settings name it. */
export function menuText(locale: string): MenuText {
  return locale.toLowerCase().startsWith('zh') ? zhCN : en;
}
