// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Results;

/// <summary>What became of one case on one back end. The five are never merged.</summary>
public enum Verdict
{
    /// <summary>Everything that the case checks was seen, and was right.</summary>
    Pass,

    /// <summary>The driver broke the clause.</summary>
    Fail,

    /// <summary>The driver or the kit threw, or the hardware broke down: nothing is known.</summary>
    Error,

    /// <summary>The case ran and could not see what it checks.</summary>
    Inconclusive,

    /// <summary>The driver does not declare what the case is about, or the hardware cannot show it.</summary>
    NotApplicable,
}
