// SPDX-License-Identifier: Apache-2.0
using System.CommandLine;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace PasidFramework.Cli.Drivers;

/// <summary><c>pasidctl drivers</c>: what was loaded, from where, and what was refused and why.</summary>
internal static class DriversCommand
{
    public static Command Create(Terminal terminal)
    {
        Option<string[]> directories = SharedOptions.Directories();
        Option<string?> json = SharedOptions.Value("--json", "FILE|-", "Write JSON to FILE, or to stdout for '-'");
        var command = new Command("drivers", "List the drivers that were loaded, and what was refused and why")
        {
            directories, json,
        };
        command.SetAction(parsed => Run(terminal, parsed.GetValue(directories) ?? [], parsed.GetValue(json)));
        return command;
    }

    private static int Run(Terminal terminal, string[] directories, string? json)
    {
        using PendingFile? file = json is null or "-" ? null : PendingFile.Create("--json", json);
        using PluginCatalog catalog = Plugins.Load(directories);
        if (json is null)
        {
            WriteText(catalog, terminal.Out);
        }
        else
        {
            using var buffer = new MemoryStream();
            WriteJson(catalog, buffer);
            if (file is null)
            {
                Output.Write(terminal, buffer);
            }
            else
            {
                buffer.WriteTo(file.Stream);
                file.Commit();
            }
        }

        if (catalog.Drivers.Count == 0)
        {
            terminal.Say($"no driver found in {string.Join(", ", catalog.SearchedDirectories)}");
            Plugins.Report(catalog, terminal, quiet: true);
            return ExitCode.Plugin;
        }

        // The listing on stdout names them, too; a script that reads only stderr must not miss them.
        return Plugins.Report(catalog, terminal, quiet: true) ? ExitCode.Plugin : ExitCode.Ok;
    }

    private static void WriteText(PluginCatalog catalog, TextWriter output)
    {
        foreach (LoadedDriver driver in catalog.Drivers)
        {
            DriverMetadata data = driver.Metadata;
            output.WriteLine($"{driver.Name}");
            output.WriteLine($"  vendor    {(data.Vendor.Length == 0 ? "-" : data.Vendor)}");
            output.WriteLine(Text($"  tables    {data.TableFormat}, PASIDs of {data.PasidBits} bits"));
            output.WriteLine(Text($"  contract  {data.ContractMajor}.{data.ContractMinor} ")
                + Text($"(this host has {DriverContract.Major}.{DriverContract.Minor})"));
            output.WriteLine($"  version   {driver.AssemblyVersion}");
            output.WriteLine($"  from      {driver.Path}");
            if (driver.ImportedTableFormats.Count > 0)
            {
                output.WriteLine($"  imports   {string.Join(", ", driver.ImportedTableFormats)}");
            }
        }

        foreach (string name in catalog.Allocators.Keys.Order(StringComparer.Ordinal))
        {
            output.WriteLine($"policy core/{name}");
        }

        WriteNames(output, "models", catalog.Models.Keys);
        WriteNames(output, "readers", catalog.TableReaders.Keys);
        WriteNames(output, "pages", catalog.PageTables.Keys.Except(FrameworkPageTables.All.Keys));
        WriteNames(output, "pages", FrameworkPageTables.All.Keys, " of the framework");
        foreach (RefusedPlugin refused in catalog.Refusals)
        {
            output.WriteLine($"refused   {refused.Path}");
            output.WriteLine($"  because   {refused.Message}");
        }

        foreach (string directory in catalog.SearchedDirectories)
        {
            output.WriteLine($"searched  {directory}");
        }

        output.WriteLine(Text(
            $"{Count(catalog.Drivers.Count, "driver")} loaded, {Count(catalog.Refusals.Count, "plug-in")} refused"));
    }

    private static string Count(int count, string noun) => Text($"{count} {noun}{(count == 1 ? string.Empty : "s")}");

    private static void WriteNames(TextWriter output, string what, IEnumerable<string> names, string behind = "")
    {
        string list = string.Join(", ", names.Order(StringComparer.Ordinal));
        if (list.Length > 0)
        {
            output.WriteLine($"{what,-10}{list}{behind}");
        }
    }

    private static void WriteJson(PluginCatalog catalog, Stream destination)
    {
        using (var json = new Utf8JsonWriter(destination, new JsonWriterOptions
        {
            Indented = true,
            NewLine = "\n",
            Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        }))
        {
            json.WriteStartObject();
            json.WriteNumber("schemaVersion", 1);
            WriteVersion(json, "contract", DriverContract.Major, DriverContract.Minor);
            WriteNames(json, "searched", catalog.SearchedDirectories);
            json.WriteStartArray("drivers");
            foreach (LoadedDriver driver in catalog.Drivers)
            {
                json.WriteStartObject();
                json.WriteString("name", driver.Name);
                json.WriteString("vendor", driver.Metadata.Vendor);
                json.WriteString("tableFormat", driver.Metadata.TableFormat);
                json.WriteNumber("pasidBits", driver.Metadata.PasidBits);
                WriteVersion(json, "contract", driver.Metadata.ContractMajor, driver.Metadata.ContractMinor);
                json.WriteString("version", driver.AssemblyVersion.ToString());
                json.WriteString("path", driver.Path);
                WriteNames(json, "exportedTableFormats", driver.TableFormats);
                WriteNames(json, "importedTableFormats", driver.ImportedTableFormats);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            WriteNames(json, "tableFormats", catalog.TableFormats.Keys.Order(StringComparer.Ordinal));
            WriteNames(json, "allocators", catalog.Allocators.Keys.Order(StringComparer.Ordinal));
            WriteNames(json, "models", catalog.Models.Keys.Order(StringComparer.Ordinal));
            WriteNames(json, "tableReaders", catalog.TableReaders.Keys.Order(StringComparer.Ordinal));
            WriteNames(json, "pageTables", catalog.PageTables.Keys.Order(StringComparer.Ordinal));
            WriteNames(json, "structures", catalog.Structures.All.Select(layout => layout.Id));
            json.WriteStartArray("refused");
            foreach (RefusedPlugin refused in catalog.Refusals)
            {
                json.WriteStartObject();
                json.WriteString("path", refused.Path);
                json.WriteString("reason", refused.Reason.ToString());
                json.WriteString("message", refused.Message);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            WriteNames(json, "warnings", catalog.Warnings);
            json.WriteEndObject();
        }

        destination.WriteByte((byte)'\n');
    }

    private static void WriteVersion(Utf8JsonWriter json, string name, int major, int minor) =>
        json.WriteString(name, Text($"{major}.{minor}"));

    private static void WriteNames(Utf8JsonWriter json, string key, IEnumerable<string> names)
    {
        json.WriteStartArray(key);
        foreach (string name in names)
        {
            json.WriteStringValue(name);
        }

        json.WriteEndArray();
    }
}
