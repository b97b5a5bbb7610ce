import type { SameShape } from '../i18n/shape.ts';
import type { strings as english } from './strings.en.ts';

export const strings: SameShape<typeof english> = {
  title: '欢迎使用 Lutra',
  body: '三件可以马上试的事，各用一个我们自己的小型演示模型。一切都在本机离线运行。',
  demos: '演示模型非常小：它们展示 Lutra 的用法，不代表模型能达到的水平。',
  toWeights: '使用自己的模型权重',
  chat: {
    title: '聊天',
    body: '问问 lutra-guide：它了解这个工作室、各项设置和错误，会简单算术和小故事。',
    action: '问问向导',
    first: 'Lutra能做什么？',
    questions: { models: '能加载哪些文件？', privacy: '我的数据安全吗？', sum: '27加48等于多少？' },
    missing: '聊天的演示模型不在列表里。在“模型 › 添加模型”里可以显示隐藏的模型。',
  },
  caption: {
    title: '描述',
    body: 'lutra-shapes 描述我们的示例图片和短片：形状、颜色、位置和运动（英文）。',
    action: '描述示例',
    samples: '示例图片',
    missing: '此版本的 Lutra 还没有描述用的演示模型，需要自备视觉模型。',
    noSamples: '此版本的 Lutra 没有附带示例图片。',
  },
  audio: {
    title: '音频',
    body: 'lutra-tones 用文字（英文）生成简单声音：音符、和弦、鼓、噪声。',
    action: '生成声音',
    first: '（A 小调琶音）A minor arpeggio at 120 BPM',
    prompts: {
      flute: '（长笛 A4，偏左）Flute playing A4, panned left',
      chord: '（C 大三和弦）A major chord on C',
      beat: '（简单节拍）Simple beat at 120 BPM',
    },
    missing: '生成声音的演示模型不在列表里。在“模型 › 添加模型”里可以显示隐藏的模型。',
  },
  weights: {
    title: '使用自己的模型权重',
    intro:
      'Lutra 不下载任何东西。请用浏览器或发布者的工具获取模型，放在本机任意位置，再让 Lutra 指向它。文件留在原处。',
    chat: '用于聊天',
    caption: '用于描述',
    audio: '用于声音',
    column: { model: '模型', size: '下载大小', memory: '内存' },
    captionNote: '“模型”面板会说明此版本能运行哪些。请选择整个文件夹，包括其中的 .json 文件。',
    audioNote:
      '单文件的 Stable Audio 需要旁边有 model_config.json 和 t5-base 文件夹；文件夹形式则已包含一切。发布者要求先接受许可协议。',
    formats:
      'GGUF 是单个文件。文件夹里有 config.json、分词器文件和 .safetensors 文件：要全部获取。名称以 bnb-4bit 结尾的文件夹最小。pickle 文件（.bin、.pt、.ckpt）会被拒绝，因为它们可以执行代码。',
    sizes: '大小为近似值，发布者可能会改动。内存按较短的上下文计算。',
    where: '放在哪里',
    whereBody:
      '任意位置都可以，最好是大硬盘上的一个模型文件夹。然后把文件或文件夹拖到窗口上，或在“模型”里添加。Lutra 会立即说明内存是否够用，以及损坏的原因。',
    action: '添加模型',
  },
};
