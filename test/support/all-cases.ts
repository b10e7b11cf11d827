/** Whether conformance takes all cases with everything: `npm run test:tabs` says so. */
export const takesAllCases: boolean = process.env.SHIBUMI_TEST_ALL_CASES !== undefined;
