/** The words of the first run and of the page on weights. Use them with useTranslation('welcome'). */
export const strings = {
  title: 'Welcome to Lutra',
  body: 'Three things to try, each with a small demo model of ours. Everything runs on this machine, offline.',
  demos: 'Demo models are tiny: they show how Lutra works, not how good models can be.',
  toWeights: 'Bring your own weights',
  chat: {
    title: 'Chat',
    body: 'Ask lutra-guide: it knows this studio, its settings and its errors, small sums and short stories.',
    action: 'Ask the guide',
    first: 'What can Lutra do?',
    questions: { models: 'Which files can Lutra load?', privacy: 'Is my data private?', sum: 'What is 27 + 48?' },
    missing: 'The demo model for chat is not in the list. Models › Add model shows hidden ones.',
  },
  caption: {
    title: 'Caption',
    body: 'lutra-shapes describes our sample pictures and a clip: shapes, colours, places, motion.',
    action: 'Caption the samples',
    samples: 'Sample pictures',
    missing: 'This copy of Lutra has no demo model for captions yet. A vision model has to be brought.',
    noSamples: 'The sample pictures are not in this copy of Lutra.',
  },
  audio: {
    title: 'Audio',
    body: 'lutra-tones makes plain sounds from words: notes, chords, drums, noise.',
    action: 'Make a sound',
    first: 'A minor arpeggio at 120 BPM',
    prompts: {
      flute: 'Flute playing A4, panned left',
      chord: 'A major chord on C',
      beat: 'Simple beat at 120 BPM',
    },
    missing: 'The demo model for sounds is not in the list. Models › Add model shows hidden ones.',
  },
  weights: {
    title: 'Bring your own weights',
    intro:
      'Lutra downloads nothing. Fetch a model from its publisher with your browser or the publisher’s own tool, put it anywhere on this machine, and point Lutra to it. Files stay where they are.',
    chat: 'For chat',
    caption: 'For captions',
    audio: 'For sounds',
    column: { model: 'Model', size: 'Download', memory: 'Memory' },
    captionNote: 'Models says which of these this version can run. Choose the whole folder, with its .json files.',
    audioNote:
      'Stable Audio as a single file needs model_config.json and a folder t5-base beside it; as a folder it brings all it needs. Its publisher asks you to accept a licence first.',
    formats:
      'A GGUF is one file. A folder has config.json, the tokenizer’s files and .safetensors files: take all of them. Names that end in bnb-4bit are the smallest folders. Pickles (.bin, .pt, .ckpt) are refused, because they can run code.',
    sizes: 'Sizes are about right; publishers change them. Memory is for a short context.',
    where: 'Where to put them',
    whereBody:
      'Anywhere: a folder of models on a large disk is best. Then drop the file or folder on the window, or add it in Models. Lutra says at once whether it fits into memory, and why a broken one is broken.',
    action: 'Add a model',
  },
} as const;
