// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>
/// A task that leads a process, and what below it may be of that process: it is decided together.
/// </summary>
/// <param name="root">The task that leads.</param>
internal sealed class TaskFamily(TracedTask root)
{
    public TracedTask Root { get; } = root;

    /// <summary>Members of which more may be heard.</summary>
    public int Living { get; set; } = 1;
}
