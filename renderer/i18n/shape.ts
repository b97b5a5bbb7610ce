/**
 * What another language must have: the same keys, any words. Keys that end in `_one` are English's singular
 * and left out by languages without one.
 */
export type SameShape<Strings> = {
  readonly [Key in keyof Strings as Key extends `${string}_one` ? never : Key]: Strings[Key] extends string
    ? string
    : SameShape<Strings[Key]>;
};
