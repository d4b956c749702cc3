// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;

namespace PasidFramework.Cli.Common;

/// <summary>Options that several commands have.</summary>
internal static class SharedOptions
{
    public static Option<string[]> Directories() => new("--drivers")
    {
        Description = "Folder with plug-ins, instead of 'drivers' beside the tool (may be repeated)",
        HelpName = "DIR",
        AllowMultipleArgumentsPerToken = false,
        Arity = ArgumentArity.OneOrMore,
    };
}
