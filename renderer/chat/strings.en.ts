/** The words of the chat panel. Use them with useTranslation('chat'). */
export const strings = {
  title: 'Chat',
} as const;
