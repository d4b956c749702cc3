// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Xunit;

/// <summary>What becomes of a test, and what it says.</summary>
/// <param name="Message">Why; empty for a test that passed.</param>
internal readonly record struct Judgement(TestOutcome Outcome, string Message);

/// <summary>What can become of a test.</summary>
internal enum TestOutcome
{
    Passed,

    /// <summary>Nothing is said against the driver, and nothing was shown.</summary>
    Skipped,

    Failed,
}
