import { Toast } from '@base-ui/react/toast';
import { CircleAlert, Info, TriangleAlert, X } from 'lucide-react';
import type { ReactElement } from 'react';
import { useTranslation } from 'react-i18next';
import { toErrorData } from '../../contract/errors.ts';
import { errorText } from '../i18n/errors.ts';

export type ToastTone = 'info' | 'warning' | 'error';

export interface ToastOptions {
  title: string;
  description?: string | undefined;
  tone?: ToastTone;
  /** E.g. Undo. Pressing it also closes the toast. */
  action?: { label: string; onSelect: () => void };
  /** 0: stays until closed. */
  timeoutMs?: number;
  /** A second toast with the same id replaces the first. */
  id?: string;
}

const manager = Toast.createToastManager();

/** Long enough to read and to reach Undo. */
const defaultTimeoutMs = 8000;

/** Shows a toast; returns its id for `dismissToast`. */
export function showToast({ title, description, tone = 'info', action, timeoutMs, id }: ToastOptions): string {
  const toastId = manager.add({
    id,
    title,
    description,
    type: tone,
    priority: tone === 'error' ? 'high' : 'low',
    timeout: timeoutMs ?? defaultTimeoutMs,
    actionProps:
      action === undefined
        ? undefined
        : {
            children: action.label,
            onClick: () => {
              manager.close(toastId);
              action.onSelect();
            },
          },
  });
  return toastId;
}

/** A toast for whatever was thrown. Cancelling is not an error: nothing is shown. */
export function showError(thrown: unknown, options: { action?: ToastOptions['action'] } = {}): void {
  const error = toErrorData(thrown);
  if (error.code === 'cancelled') return;
  const text = errorText(error);
  showToast({
    title: text.message,
    description: [text.detail, text.hint].filter((line) => line !== null).join(' ') || undefined,
    tone: 'error',
    ...(options.action === undefined ? {} : { action: options.action }),
    timeoutMs: 12_000,
  });
}

export function dismissToast(id: string): void {
  manager.close(id);
}

const icons: Record<ToastTone, ReactElement> = {
  info: <Info aria-hidden className="text-accent-ink" />,
  warning: <TriangleAlert aria-hidden className="text-warn" />,
  error: <CircleAlert aria-hidden className="text-danger" />,
};

function ToastList(): ReactElement[] {
  const { toasts } = Toast.useToastManager();
  const { t } = useTranslation();
  return toasts.map((toast) => (
    <Toast.Root
      key={toast.id}
      toast={toast}
      // Base UI hides an urgent one, and the way to close any, until they have the focus; they can be reached all the same.
      aria-hidden={false}
      className="w-full rounded-lg bg-surface shadow-float transition-[opacity,translate] data-ending-style:opacity-0 data-limited:hidden data-starting-style:-translate-y-2 data-starting-style:opacity-0"
    >
      <Toast.Content className="flex items-start gap-2.5 py-2.5 pr-1.5 pl-3">
        <span className="flex h-7 items-center [&_svg]:size-4">
          {icons[(toast.type as ToastTone | undefined) ?? 'info']}
        </span>
        <div className="min-w-0 flex-1 py-1">
          <Toast.Title render={<p />} className="text-sm font-medium wrap-anywhere" />
          <Toast.Description className="text-xs wrap-anywhere text-muted" />
        </div>
        <Toast.Action className="h-7 shrink-0 rounded-md px-2 text-xs font-semibold text-accent-ink hover:bg-hover" />
        <Toast.Close
          aria-label={t('common.dismiss')}
          aria-hidden={false}
          className="flex size-7 shrink-0 items-center justify-center rounded-md text-faint hover:bg-hover hover:text-ink [&_svg]:size-4"
        >
          <X aria-hidden />
        </Toast.Close>
      </Toast.Content>
    </Toast.Root>
  ));
}

/** Mount once, near the root. F6 moves the focus to it. */
export function Toaster(): ReactElement {
  const { t } = useTranslation();
  return (
    <Toast.Provider toastManager={manager} limit={4}>
      <Toast.Portal>
        <Toast.Viewport
          aria-label={t('shell.notices')}
          className="fixed top-14 right-4 z-50 flex w-88 max-w-[calc(100vw-2rem)] flex-col gap-2"
        >
          <ToastList />
        </Toast.Viewport>
      </Toast.Portal>
    </Toast.Provider>
  );
}
