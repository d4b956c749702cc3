// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.TestKit.Mutations;

/// <summary>What became of the mutants of one world.</summary>
/// <param name="Problems">Mutants that survived, and differences from the lists; empty for a run as it must be.</param>
/// <param name="Lines">What was counted, in the format of mutants.txt.</param>
/// <param name="Log">One line for each mutant, with what was noticed.</param>
public sealed record MutationReport(
    IReadOnlyList<string> Problems, IReadOnlyList<string> Lines, IReadOnlyList<string> Log);
