/** What a REST token may do; each role may do what the ones before it may. */
export const ROLES = ['read', 'record', 'admin'] as const;
export type Role = (typeof ROLES)[number];

export function allows(role: Role, needed: Role): boolean {
  return ROLES.indexOf(role) >= ROLES.indexOf(needed);
}
