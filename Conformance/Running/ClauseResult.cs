// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Running;

/// <summary>What became of a clause: the worst of the results that are about it, of required cases where there are
/// such.</summary>
/// <param name="Verdict">Fail, waived or not, before error, inconclusive and pass; not applicable where nothing else
/// was seen.</param>
public sealed record ClauseResult(string Clause, Verdict Verdict, bool IsRequired);
