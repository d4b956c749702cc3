// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;

namespace PasidFramework.Cli.Common;

/// <summary>How options are declared, and those that several commands have.</summary>
internal static class SharedOptions
{
    public static Option<bool> Flag(string name, string description) => new(name) { Description = description };

    /// <summary>An option with one value.</summary>
    /// <param name="value">What the help calls the value.</param>
    public static Option<string?> Value(string name, string value, string description) =>
        new(name) { Description = description, HelpName = value };

    /// <summary>An option with one of some words.</summary>
    /// <param name="words">The words, the default first.</param>
    public static Option<string> Choice(string name, string description, params string[] words)
    {
        var option = new Option<string>(name) { Description = description, DefaultValueFactory = _ => words[0] };
        option.AcceptOnlyFromAmong(words);
        return option;
    }

    /// <summary>An option that may be repeated, with one value each time.</summary>
    /// <param name="value">What the help calls the value.</param>
    public static Option<string[]> Values(string name, string value, string description) => new(name)
    {
        Description = description,
        HelpName = value,
        AllowMultipleArgumentsPerToken = false,
        Arity = ArgumentArity.OneOrMore,
    };

    public static Option<string[]> Directories() => Values(
        "--drivers", "DIR", "Folder with plug-ins, instead of 'drivers' beside the tool (may be repeated)");

    public static Option<bool> Quiet() => Flag("--quiet", "No progress bar and no notes on stderr");
}
