// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Common;

/// <summary>Ends a command with one line on stderr.</summary>
/// <param name="message">The line without the tool's name.</param>
/// <param name="hint">What to do, on a second line; null for none.</param>
internal sealed class UsageException(string message, int exitCode = ExitCode.Usage, string? hint = null)
    : Exception(message)
{
    public int ExitCode { get; } = exitCode;
    public string? Hint { get; } = hint;
}
