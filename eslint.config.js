import js from '@eslint/js'
import { defineConfig, globalIgnores } from 'eslint/config'
import tseslint from 'typescript-eslint'

const ENVIRONMENT_ONLY_IN_CLI = ['env', 'exit', 'exitCode', 'argv'].map((property) => ({
  object: 'process',
  property,
  message: 'Only src/cli reads the environment or ends the process: take the value as a parameter.',
}))

export default defineConfig(
  globalIgnores(['dist/', 'coverage/', 'src/wire/bodies.ts']),
  js.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      eqeqeq: 'error',
      'no-control-regex': 'off',
      'no-undef': 'off',
      'no-console': 'error',
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/dot-notation': ['error', { allowIndexSignaturePropertyAccess: true }],
      '@typescript-eslint/no-misused-spread': ['error', { allow: [{ from: 'lib', name: 'string' }] }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', ignoreRestSiblings: true }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
    },
  },
  {
    files: ['src/**', 'bin/**'],
    rules: {
      // A list of names that would not fit into one line may be two.
      'no-duplicate-imports': ['error', { allowSeparateTypeImports: true }],
      'max-lines': ['error', { max: 250 }],
      'max-lines-per-function': ['error', { max: 50 }],
    },
  },
  {
    files: ['src/**'],
    ignores: ['src/cli/**'],
    rules: { 'no-restricted-properties': ['error', ...ENVIRONMENT_ONLY_IN_CLI] },
  },
  {
    // Bodies that a test reads back have no type, and what a test takes out of its fixture is no method.
    files: ['test/**'],
    rules: Object.fromEntries(
      ['no-unsafe-argument', 'no-unsafe-assignment', 'no-unsafe-call', 'no-unsafe-member-access', 'no-unsafe-return']
        .concat('unbound-method', 'non-nullable-type-assertion-style')
        .map((rule) => [`@typescript-eslint/${rule}`, 'off']),
    ),
  },
  {
    files: ['test/**'],
    ignores: ['test/support/fast-check.ts', 'test/simulation/**'],
    rules: {
      'no-restricted-imports': ['error', { name: 'fast-check', message: 'test/support/fast-check.ts has it with the seed of the run.' }],
    },
  },
  { files: ['bin/callme.js', 'schema/**', 'test/bench/**', 'test/simulation/**', 'test/chaos/**'], rules: { 'no-console': 'off' } },
)
