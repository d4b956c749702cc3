// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Conformance.Bench;

/// <summary>Ends a case with a verdict; never leaves the runner.</summary>
internal sealed class CaseEnd(Verdict verdict, string reason, IReadOnlyList<string>? details = null) : Exception(reason)
{
    public Verdict Verdict { get; } = verdict;
    public IReadOnlyList<string> Details { get; } = details ?? [];
}
