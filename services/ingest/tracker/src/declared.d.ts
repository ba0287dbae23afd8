/** Given by the build. */
declare const VERSION: string;

interface Navigator {
  /** https://www.w3.org/TR/gpc/ */
  readonly globalPrivacyControl?: boolean;
  readonly doNotTrack: string | null;
}
