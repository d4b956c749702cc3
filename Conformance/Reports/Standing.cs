// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Conformance.Reports;

/// <summary>What a result means for the run: its verdict and the rules of the report together.</summary>
internal enum Standing
{
    /// <summary>It passed.</summary>
    Good,

    /// <summary>It makes the run fail.</summary>
    Counts,

    /// <summary>It failed, and a waiver excuses it.</summary>
    Waived,

    /// <summary>It failed, and its level does not bind.</summary>
    NotBinding,

    /// <summary>It was not shown: not applicable, or inconclusive.</summary>
    NotShown,
}
