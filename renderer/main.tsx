import { createRoot } from 'react-dom/client';
import { App } from './app.tsx';
import { connectStudio } from './client/studio.ts';
import './i18n/i18n.ts';
import './styles.css';

const root = document.getElementById('root');
if (root === null) throw new Error('The page has no element to draw in.');
createRoot(root).render(<App studio={connectStudio()} />);
