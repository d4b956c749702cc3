// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Scenarios;

/// <summary>UsablePasids an error out of the depth of a scenario; never leaves <see cref="ScenarioReader"/>.</summary>
internal sealed class ScenarioException(int line, string message) : Exception(message)
{
    public int Line { get; } = line;
}
