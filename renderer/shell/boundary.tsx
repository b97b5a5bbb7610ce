import { Component } from 'react';
import type { ReactNode } from 'react';
import { CircleAlert } from 'lucide-react';
import { i18n } from '../i18n/i18n.ts';
import { Button, EmptyState } from '../ui/index.ts';

interface State {
  readonly error: Error | null;
}

/** A fault in what it holds costs that part of the window, and says so. */
export class Boundary extends Component<{ children: ReactNode }, State> {
  override state: State = { error: null };

  static getDerivedStateFromError(error: unknown): State {
    return { error: error instanceof Error ? error : new Error(String(error)) };
  }

  override render(): ReactNode {
    const { error } = this.state;
    if (error === null) return this.props.children;
    return (
      <main role="alert" className="flex h-full min-h-0 flex-1">
        <EmptyState
          icon={<CircleAlert />}
          title={i18n.t('shell.crashTitle')}
          body={
            <>
              <p>{i18n.t('shell.crashBody')}</p>
              <details className="pt-2 text-left text-xs">
                <summary>{i18n.t('shell.crashDetail')}</summary>
                <pre className="max-h-48 overflow-auto pt-2 whitespace-pre-wrap">{error.stack ?? error.message}</pre>
              </details>
            </>
          }
          actions={
            <>
              <Button variant="primary" onClick={() => this.setState({ error: null })}>
                {i18n.t('shell.crashBack')}
              </Button>
              <Button onClick={() => window.location.reload()}>{i18n.t('common.reload')}</Button>
            </>
          }
        />
      </main>
    );
  }
}
