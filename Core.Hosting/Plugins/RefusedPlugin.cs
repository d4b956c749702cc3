// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Hosting.Plugins;

/// <summary>A plug-in that was not loaded.</summary>
/// <param name="Path">Full path of the file, or of the directory where that is what is wrong.</param>
/// <param name="Reason">What kind of fault it is.</param>
/// <param name="Message">One line: what is wrong, which value, and what was expected.</param>
public sealed record RefusedPlugin(string Path, RefusalReason Reason, string Message)
{
    /// <summary>The path and the message, on one line.</summary>
    public override string ToString() => $"{Path}: {Message}";
}
