// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Inputs;

/// <summary>What is wrong with a file that a user gave: one line that says where and what was expected.</summary>
/// <param name="File">The file as the user named it.</param>
/// <param name="Line">The line, from 1; 0 where the whole file is meant.</param>
/// <param name="Message">What was found and what was expected.</param>
public sealed record InputError(string File, int Line, string Message)
{
    /// <summary><c>file:line: message</c>.</summary>
    public override string ToString() => Line == 0
        ? $"{File}: {Message}"
        : Text($"{File}:{Line}: {Message}");
}
