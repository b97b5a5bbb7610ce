import { cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react';
import { afterEach, describe, expect, test } from 'vitest';
import '../../../renderer/i18n/i18n.ts';
import { Markdown, normaliseMath } from '../../../renderer/chat/markdown.tsx';

afterEach(cleanup);

function show(text: string, isStreaming = false): HTMLElement {
  return render(<Markdown text={text} isStreaming={isStreaming} />).container;
}

describe('an answer', () => {
  test('keeps prices as text', () => {
    const shown = show('It costs $5 and $6, or $1,000.');
    expect(shown.textContent).toBe('It costs $5 and $6, or $1,000.');
    expect(shown.querySelector('.katex')).toBeNull();
  });

  test.each(['$$x^2$$', '\\(x^2\\)', '\\[x^2\\]', 'text $$a_b$$ text'])('shows maths: %s', (text) => {
    expect(show(text).querySelector('.katex')).not.toBeNull();
  });

  test('shows a formula alone on its line large, one in a sentence small', () => {
    expect(show('Before\n\n$$x^2$$\n\nafter').querySelector('.katex-display')).not.toBeNull();
    expect(show('Before $$x^2$$ after').querySelector('.katex-display')).toBeNull();
  });

  test('leaves maths in code alone', () => {
    expect(normaliseMath('`\\(x\\)` and \\(y\\)')).toBe('`\\(x\\)` and $$y$$');
    expect(normaliseMath('```tex\n\\[x\\]\n```')).toBe('```tex\n\\[x\\]\n```');
  });

  test('names pictures and never loads them', () => {
    const shown = show(
      'Look: ![my secret](https://evil.example/a.png?q=secret) and <img src="https://evil.example/b.png">',
    );
    expect(shown.querySelector('img')).toBeNull();
    expect(shown.innerHTML).not.toContain('src=');
    expect(shown.textContent).toContain('my secret');
  });

  test.each([
    '<script>window.pwned = 1</script>',
    '<img src=x onerror="window.pwned = 1">',
    '<iframe src="https://evil.example"></iframe>',
    '<svg onload="window.pwned = 1"></svg>',
    '<a href="javascript:window.pwned=1">x</a>',
    '[x](javascript:window.pwned=1)',
    '[x](data:text/html,<script>window.pwned=1</script>)',
    '[x](file:///etc/passwd)',
    '<style>body{display:none}</style>',
    '<form action="https://evil.example"><input name=a></form>',
    '<object data="https://evil.example"></object>',
    '<base href="https://evil.example">',
    '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    '```html\n<script>window.pwned = 1</script>\n```',
  ])('is harmless: %s', (text) => {
    const shown = show(text);
    expect((window as { pwned?: number }).pwned).toBeUndefined();
    expect(shown.querySelector('script,iframe,object,embed,base,meta,form,style,svg[onload],img')).toBeNull();
    for (const element of shown.querySelectorAll('*')) {
      for (const { name, value } of element.attributes) {
        expect(name).not.toMatch(/^on/i);
        expect(value).not.toMatch(/^(javascript|data|file):/i);
      }
    }
  });

  test('asks before it leads to a web address', () => {
    const link = show('[site](https://example.org/page)').querySelector('a');
    expect(link?.getAttribute('href')).toBe('https://example.org/page');
    const isFollowed = link === null ? true : fireEvent.click(link);
    expect(isFollowed).toBe(false);
  });

  test('shows code with its language and a button to copy it, highlighted a moment later', async () => {
    const shown = show('```ts\nconst a: number = 1;\n```');
    screen.getByRole('button', { name: 'Copy the code' });
    expect(shown.querySelector('pre')?.textContent).toContain('const a: number = 1;');
    await waitFor(() => expect(shown.querySelectorAll('.code-token').length).toBeGreaterThan(3), { timeout: 10_000 });
    expect(shown.querySelector('pre')?.textContent).toContain('const a: number = 1;');
  });

  test('shows an unfinished piece without falling apart', () => {
    expect(show('Some **bold and `code', true).textContent).toContain('bold');
    expect(show('| a | b |\n|---|', true).textContent).toContain('a');
    expect(show('```py\nprint(', true).querySelector('pre')?.textContent).toContain('print(');
  });
});

describe('a link to a panel', () => {
  test('as the guide writes it leads there, and nowhere else', () => {
    const shown = show('Open [Audio](lutra:audio) or [音频](lutra:audio).');
    const [link] = shown.querySelectorAll('a');
    expect(link?.getAttribute('href')).toBe('#/audio');
    if (link !== undefined) fireEvent.click(link);
    expect(window.location.hash).toBe('#/audio');
    expect(shown.textContent).toBe('Open Audio or 音频.');
  });

  test.each(['[x](lutra:evil)', '[x](lutra:audio/../settings)', '[x](#/audio?q=1)', '[x](lutra:chat/some-id)'])(
    'is none: %s',
    (text) => {
      expect(show(text).querySelector('a')).toBeNull();
    },
  );
});
