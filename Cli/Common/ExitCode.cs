// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Common;

/// <summary>What the process returns to its caller; scripts rely on the numbers.</summary>
internal static class ExitCode
{
    public const int Ok = 0;

    /// <summary>
    /// Some input lines were wrong; each has its error in the output, all others their result. Of <c>verify</c>: the
    /// driver does not conform.
    /// </summary>
    public const int SomeFailed = 1;

    /// <summary>
    /// The command line, a trace, a scenario or the configuration is wrong, or the output cannot be written; no result.
    /// </summary>
    public const int Usage = 2;

    /// <summary>A plug-in could not be loaded, or there is none. There is a complete result, unless it is one that the
    /// scenario needs.</summary>
    public const int Plugin = 3;

    /// <summary>A defect of ours or of a driver; there is no result.</summary>
    public const int Internal = 4;

    /// <summary>Ended by Ctrl-C or by a request to end; there is no result.</summary>
    public const int Interrupted = 130;

    /// <summary>The reader of stdout went away, as <c>head</c> does; what a shell calls SIGPIPE.</summary>
    public const int ReaderGone = 141;
}
